"""The checkpoints and promotions of a project as JSON and as rows for CSV."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from annotator.models import Project
from rlhf import promotion, runs
from rlhf.models import Checkpoint, Evaluation

GAINS = ("gold", "reward", "pessimistic")
ENDS = ("value", "low", "high")
FACTS = (
    *("id", "kind", "name", "base_model", "parent", "algorithm", "iteration", "run", "snapshot", "seed"),
    *("code_version", "created_at", "promoted_at", "promoted_by", "writes_now"),
)


def as_data(project: Project) -> list[dict[str, Any]]:
    """A checkpoint each, the oldest first, with its metrics and its newest evaluation."""
    evaluations = {found.new_id: found for found in Evaluation.objects.filter(new__project=project)[::-1]}
    promoted = runs.promoted_policy(project).pk
    found = project.checkpoints.select_related("run", "snapshot", "promoted_by").order_by("pk")
    return [
        _facts(checkpoint, writes_now=checkpoint.pk == promoted)
        | {"metrics": checkpoint.metrics, "evaluation": _evaluation(evaluations.get(checkpoint.pk))}
        for checkpoint in found
    ]


def rows(project: Project) -> Iterator[list[Any]]:
    """A line a checkpoint: what it is, each plain number of its metrics, its gains with intervals."""
    found = as_data(project)
    numbers = dict.fromkeys(
        name for row in found for name, value in row["metrics"].items() if _number(value) is not None
    )
    gains = [f"{name}_gain{'' if end == 'value' else f'_{end}'}" for name in GAINS for end in ENDS]
    yield [*FACTS, *numbers, "compared_with", *gains]
    for row in found:
        evaluation = row["evaluation"] or {"old": None, "result": {}}
        differences = [(evaluation["result"].get(name) or {}).get("difference") or {} for name in GAINS]
        yield [
            *(row[name] for name in FACTS),
            *(_number(row["metrics"].get(name)) for name in numbers),
            evaluation["old"],
            *(found.get(end) for found in differences for end in ENDS),
        ]


def promotions(project: Project) -> list[dict[str, Any]]:
    """A promotion each, the newest first, with the figures of its day."""
    return [
        {
            "id": row.pk,
            "checkpoint": row.checkpoint_id,
            "name": row.checkpoint.name,
            "former": row.former_id,
            "promoted_at": row.promoted_at.isoformat(),
            "promoted_by": row.promoted_by.username if row.promoted_by else None,
            "evaluation_run": row.evaluation.run_id if row.evaluation else None,
            "figures": row.figures,
        }
        for row in promotion.history(project)
    ]


def promotion_rows(project: Project) -> Iterator[list[Any]]:
    """A line a promotion; figures that are intervals with their ends."""
    found = promotions(project)
    names = dict.fromkeys(name for row in found for name in row["figures"] if name != "gamed")
    facts = ["id", "checkpoint", "name", "former", "promoted_at", "promoted_by", "evaluation_run"]
    yield [*facts, *(f"{name}{end}" for name in names for end in ("", "_low", "_high"))]
    for row in found:
        figures = [row["figures"].get(name) for name in names]
        intervals = [figure if isinstance(figure, dict) else {"value": figure} for figure in figures]
        yield [*(row[name] for name in facts), *(of.get(end) for of in intervals for end in ENDS)]


def _facts(checkpoint: Checkpoint, *, writes_now: bool) -> dict[str, Any]:
    promoted, by = checkpoint.promoted_at, checkpoint.promoted_by
    return {
        "id": checkpoint.pk,
        "kind": checkpoint.kind,
        "name": checkpoint.name,
        "base_model": checkpoint.base_model,
        "parent": checkpoint.parent_id,
        "algorithm": checkpoint.config.get("algorithm"),
        "iteration": checkpoint.iteration,
        "run": checkpoint.run_id,
        "snapshot": checkpoint.snapshot.sha256 if checkpoint.snapshot else None,
        "seed": checkpoint.seed,
        "code_version": checkpoint.code_version,
        "created_at": checkpoint.created_at.isoformat(),
        "promoted_at": promoted.isoformat() if promoted else None,
        "promoted_by": by.username if by else None,
        "writes_now": writes_now,
    }


def _evaluation(evaluation: Evaluation | None) -> dict[str, Any] | None:
    if evaluation is None:
        return None
    return {"run": evaluation.run_id, "old": evaluation.old_id, "result": evaluation.result}


def _number(value: Any) -> float | None:
    """A number, or the middle of an interval; nothing for what is neither."""
    if isinstance(value, dict):
        value = value.get("value")
    return value if isinstance(value, int | float) and not isinstance(value, bool) else None
