"""Where the checkpoints come from, as rows of a picture: a dot each, and lines down to its parent."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any

from annotator.models import Project
from rlhf import gaming, runs
from rlhf.figures import Figure
from rlhf.lm.over_optimisation import Fall
from rlhf.models import Checkpoint, Evaluation
from rlhf.promotion import is_known
from rlhf.promotion_page import gamed_sentence
from rlhf.reports import evaluation_figures
from rlhf.reward_reports import reward_figures

LANE = 22
"""Pixels between two lines."""
DOT = 26
"""Pixels from a row's top to its dot."""


@dataclass(frozen=True)
class Rails:
    """The lines of one row, in lanes from the left. Rows run from the newest down to the base."""

    lane: int
    from_above: bool
    to_below: bool
    passing: tuple[int, ...]
    """Lanes of other lines that go through."""
    joining: tuple[int, ...]
    """Lanes of branches that begin at this row's dot and end above."""
    lanes: int

    @property
    def width(self) -> int:
        return LANE * self.lanes

    @property
    def x(self) -> int:
        return _x(self.lane)

    @property
    def y(self) -> int:
        return DOT

    @property
    def passing_x(self) -> list[int]:
        return [_x(lane) for lane in self.passing]

    @property
    def curves(self) -> list[str]:
        """SVG paths from the row's top, in a branch's lane, to the dot."""
        return [f"M{_x(lane)} 0C{_x(lane)} {DOT} {self.x} 0 {self.x} {DOT}" for lane in self.joining]


@dataclass(frozen=True)
class PolicyRow:
    checkpoint: Checkpoint
    rails: Rails
    evaluation: Evaluation | None
    """Its newest evaluation against an older policy."""
    writes_now: bool
    is_newest: bool
    gamed: str = ""
    """That its run gamed the reward, where it did."""

    @property
    def parent(self) -> Checkpoint | None:
        return self.checkpoint.parent

    @property
    def figures(self) -> list[Figure]:
        return evaluation_figures(self.evaluation) if self.evaluation else []

    @property
    def wrote_before(self) -> bool:
        return self.checkpoint.promoted_at is not None and not self.writes_now

    @property
    def promotes_at_once(self) -> bool:
        """Whether its figures are all there is to look at; otherwise there is a page to read first."""
        return is_known(self.checkpoint) or (self.evaluation is not None and not self.gamed)


@dataclass(frozen=True)
class RewardRow:
    checkpoint: Checkpoint

    @property
    def figures(self) -> list[Figure]:
        return reward_figures(self.checkpoint)


def policies_of(project: Project) -> list[PolicyRow]:
    """The policies, the newest first; the line down from the one that writes now is the leftmost."""
    promoted = runs.promoted_policy(project)
    found = list(
        project.checkpoints.policies().select_related("run", "parent", "promoted_by").order_by("-pk")
    )
    evaluations: dict[int, Evaluation] = {}
    for evaluation in Evaluation.objects.filter(new__project=project).select_related("run", "old"):
        evaluations.setdefault(evaluation.new_id, evaluation)  # newest first
    rails = rails_of([(c.pk, c.parent_id) for c in found], promoted.pk)
    falls = gaming.falls_of(c.run for c in found if c.run)
    return [
        PolicyRow(
            checkpoint=checkpoint,
            rails=rails[checkpoint.pk],
            evaluation=evaluations.get(checkpoint.pk),
            writes_now=checkpoint.pk == promoted.pk,
            is_newest=place == 0,
            gamed=_gamed(falls.get(checkpoint.run_id or 0)),
        )
        for place, checkpoint in enumerate(found)
    ]


def _gamed(fall: Fall | None) -> str:
    return gamed_sentence(dataclasses.asdict(fall)) if fall else ""


def rewards_of(project: Project) -> list[RewardRow]:
    """The reward models, the newest first."""
    found = project.checkpoints.rewards().select_related("run", "snapshot").order_by("-pk")
    return [RewardRow(checkpoint) for checkpoint in found]


def rails_of(parents: list[tuple[int, int | None]], trunk: int) -> dict[int, Rails]:
    """Rails for (id, parent's id), children before parents. `trunk` and its ancestors have lane 0."""
    parent_of = dict(parents)
    in_trunk: set[int] = set()
    at: int | None = trunk
    while at is not None and at not in in_trunk:
        in_trunk.add(at)
        at = parent_of.get(at)

    awaited: list[int | None] = [None]  # of each lane: the parent that its line goes down to
    rows: dict[int, dict[str, Any]] = {}
    for pk, parent in parents:
        lanes = [lane for lane, wanted in enumerate(awaited) if wanted == pk]
        if pk in in_trunk:
            lane = 0
        elif lanes:
            lane = lanes[0]
        else:
            lane = _free_lane(awaited)
        for ended in lanes:
            awaited[ended] = None
        awaited[lane] = None
        passing = tuple(other for other, wanted in enumerate(awaited) if wanted is not None)
        awaited[lane] = parent if parent in parent_of else None
        rows[pk] = {
            "lane": lane,
            "from_above": lane in lanes,
            "to_below": awaited[lane] is not None,
            "passing": passing,
            "joining": tuple(other for other in lanes if other != lane),
        }
    return {pk: Rails(**row, lanes=len(awaited)) for pk, row in rows.items()}


def _free_lane(awaited: list[int | None]) -> int:
    for lane, wanted in enumerate(awaited):
        if lane and wanted is None:
            return lane
    awaited.append(None)
    return len(awaited) - 1


def _x(lane: int) -> int:
    return LANE * lane + LANE // 2
