"""A run and its numbers as JSON and CSV: for the page that polls, and for files that researchers keep."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from annotator.quality.tables import as_csv
from rlhf.models import Checkpoint, Evaluation, Run, RunRecord


def record_json(record: RunRecord) -> dict[str, Any]:
    return {"step": record.step, "at": record.created_at.isoformat(), "values": record.values}


def run_json(run: Run) -> dict[str, Any]:
    """The run itself, for scripts and for the page that polls."""
    return {
        "id": run.pk,
        "kind": run.kind,
        "state": run.state,
        "iteration": run.iteration,
        "step": run.step,
        "total": run.total,
        "attempts": run.attempts,
        "message": run.message,
        "note": run.note,
        "error": run.error,
        "config": run.config,
        "policy": run.policy_id,
        "reward": run.reward_id,
        "snapshot": run.snapshot_id,
        "created_at": run.created_at,
        "started_at": run.started_at,
        "finished_at": run.finished_at,
    }


def results_json(run: Run) -> dict[str, Any]:
    """What came of it: the checkpoint, the evaluation, the samples; only what there is."""
    results: dict[str, Any] = {}
    checkpoint = Checkpoint.objects.filter(run=run).first()
    if checkpoint is not None:
        results["checkpoint"] = {
            "id": checkpoint.pk,
            "name": checkpoint.name,
            "parent": checkpoint.parent_id,
            "seed": checkpoint.seed,
            "code_version": checkpoint.code_version,
            "metrics": checkpoint.metrics,
        }
    evaluation = Evaluation.objects.filter(run=run).first()
    if evaluation is not None:
        results["evaluation"] = {
            "old": evaluation.old_id,
            "new": evaluation.new_id,
            "result": evaluation.result,
        }
    samples = run.samples.order_by("step", "prompt")
    results["samples"] = list(samples.values("step", "prompt", "text", "reference_text", "values"))
    return results


def csv_lines(run: Run) -> Iterator[str]:
    """One line a record, with a column for every number that any has; of an evaluation one line a task."""
    evaluation = Evaluation.objects.filter(run=run).first()
    if evaluation is not None:
        rows = evaluation.result.get("tasks", [])
        columns = dict.fromkeys(name for row in rows for name in row)
        yield as_csv([list(columns)])
        for row in rows:
            yield as_csv([[row.get(name) for name in columns]])
        return
    columns = {}
    for values in run.records.values_list("values", flat=True).iterator():
        columns.update(dict.fromkeys(values))
    yield as_csv([["step", "at", *columns]])
    for record in run.records.iterator():
        numbers = [record.values.get(name) for name in columns]
        yield as_csv([[record.step, record.created_at.isoformat(), *numbers]])
