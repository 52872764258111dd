"""The project's generators on leaderboards: by people, by the gold metric, by the reward.

A game is what an evaluation let two generators play: a judged pair of a blind comparison, or a held-out task.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from django.utils.translation import gettext as _

from annotator.models import Project
from rlhf import blind, runs
from rlhf.figures import Figure
from rlhf.lm.leaderboard import Board, Game, boards
from rlhf.lm.metrics import Interval
from rlhf.models import BlindComparison, Checkpoint, Evaluation

RESAMPLES = 500
PEOPLE, GOLD, REWARD = "people", "gold", "reward"


@dataclass(frozen=True)
class Row:
    checkpoint: Checkpoint
    is_anchor: bool
    strength: Figure
    win_rate: Figure
    games: int
    won: float


@dataclass(frozen=True)
class Part:
    """Generators that met, directly or by way of others, the strongest first."""

    anchor: Checkpoint
    rows: list[Row]


@dataclass(frozen=True)
class Leaderboard:
    """All parts by one judge."""

    judge: str
    name: str
    unit: str
    """What a game is."""
    parts: list[Part]
    games: int
    tasks: int


def of_project(project: Project) -> list[Leaderboard]:
    """A leaderboard for each judge; one without games has no part. The anchor is the base model where it
    plays, else the oldest."""
    checkpoints = project.checkpoints.policies().in_bulk()
    base = runs.base_policy(project).pk
    evaluations = list(
        Evaluation.objects.filter(new__project=project).values_list("pk", "old", "new", "result")
    )
    judges = [
        (PEOPLE, _("By people"), _("judged pairs"), list(by_people(project))),
        (GOLD, _("By the gold metric"), _("tasks judged"), list(by_tasks(evaluations, GOLD))),
        (REWARD, _("By the reward"), _("tasks judged"), list(by_tasks(evaluations, REWARD))),
    ]
    return [
        Leaderboard(
            judge=judge,
            name=name,
            unit=unit,
            parts=[_part(board, checkpoints) for board in boards(games, anchors=[base], resamples=RESAMPLES)],
            games=len(games),
            tasks=len({game.task for game in games}),
        )
        for judge, name, unit, games in judges
    ]


def by_people(project: Project) -> Iterator[Game]:
    """The judged pairs of blind comparisons; what two evaluations asked alike counts once."""
    asked = BlindComparison.objects.filter(evaluation__new__project=project).select_related("evaluation")
    once = list({row.comparison_id: row for row in asked}.values())
    sides = {row.comparison_id: (row.evaluation.new_id, row.evaluation.old_id) for row in once}
    by_comparison: dict[int, list[BlindComparison]] = {row.comparison_id: [row] for row in once}
    for ranking in blind.judged(once):
        new, old = sides[ranking.comparison_id]
        if new != old:
            for match in blind.matches(by_comparison[ranking.comparison_id], [ranking]):
                yield Game(new, old, match.outcome, match.task_id)


def by_tasks(evaluations: list[tuple[int, int, int, Mapping[str, Any]]], judge: str) -> Iterator[Game]:
    """A game a held-out task and evaluation: the share of pairs of texts whose new one the judge puts higher.

    Evaluations from before these were counted have their tasks' mean gold: the higher one wins.
    """
    for _pk, old, new, result in evaluations:
        for row in result.get("tasks", []) if new != old else []:
            share = row.get(f"{judge}_wins")
            if share is None and judge == GOLD and None not in (row.get("old"), row.get("new")):
                share = 0.5 + 0.5 * ((row["new"] > row["old"]) - (row["new"] < row["old"]))
            if share is not None:
                yield Game(new, old, float(share), str(row["task_id"]))


def csv_rows(project: Project) -> Iterator[list[Any]]:
    """All leaderboards as one table."""
    ends = ("value", "low", "high")
    head = [f"{name}_{end}" for name in ("strength", "win_rate") for end in ends]
    yield ["judge", "part", "anchor", "checkpoint", "name", *head, "games", "won"]
    for board in of_project(project):
        for number, part in enumerate(board.parts, start=1):
            for row in part.rows:
                numbers = [getattr(item, end) for item in (row.strength, row.win_rate) for end in ends]
                who = [part.anchor.pk, row.checkpoint.pk, row.checkpoint.name]
                yield [board.judge, number, *who, *numbers, row.games, row.won]


def as_json(project: Project) -> dict[str, Any]:
    """The same, by judge, then by part."""
    return {
        board.judge: {
            "games": board.games,
            "tasks": board.tasks,
            "parts": [
                {"anchor": part.anchor.pk, "rows": [_row_json(row) for row in part.rows]}
                for part in board.parts
            ],
        }
        for board in of_project(project)
    }


def _row_json(row: Row) -> dict[str, Any]:
    return {
        "checkpoint": row.checkpoint.pk,
        "name": row.checkpoint.name,
        "strength": _ends(row.strength),
        "win_rate": _ends(row.win_rate),
        "games": row.games,
        "won": row.won,
    }


def _ends(item: Figure) -> dict[str, float | None]:
    return {"value": item.value, "low": item.low, "high": item.high}


def _part(board: Board, checkpoints: Mapping[int, Checkpoint]) -> Part:
    return Part(
        anchor=checkpoints[board.anchor],
        rows=[
            Row(
                checkpoint=checkpoints[row.player],
                is_anchor=row.player == board.anchor,
                strength=_figure(_("Strength"), row.strength, row.player == board.anchor, is_difference=True),
                win_rate=_figure(_("Wins"), row.win_rate, row.player == board.anchor, is_share=True),
                games=row.games,
                won=row.won,
            )
            for row in board.standings
        ],
    )


def _figure(label: str, found: Interval, is_anchor: bool, **kinds: Any) -> Figure:
    """The anchor is what the others are measured by: it has no interval."""
    if is_anchor:
        return Figure(label, found.value, **kinds)
    return Figure(label, found.value, found.low, found.high, **kinds)
