"""From judgments to pairs: every two completions of a ranking, with who judged them and how."""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from dataclasses import dataclass

from rlhf.lm.data import Judgment


@dataclass(frozen=True)
class Pair:
    """Two completions of a task as one annotator judged them, in an order that is always the same."""

    task_id: str
    annotator: str
    first: str
    second: str
    outcome: float  # 1 the first is better, 0 the second, 0.5 a tie
    simulated: bool = False


def judged_pairs(judgments: Iterable[Judgment]) -> list[Pair]:
    """All k(k-1)/2 pairs of each k-way ranking; the same text twice in a ranking makes no pair."""
    pairs = []
    for judgment in judgments:
        placed = sorted(zip(judgment.completions, judgment.ranks, strict=True))
        for (first, rank), (second, other) in itertools.combinations(placed, 2):
            if first != second:
                outcome = 0.5 if rank == other else float(rank < other)
                pairs.append(
                    Pair(judgment.task_id, judgment.annotator, first, second, outcome, judgment.simulated)
                )
    return pairs
