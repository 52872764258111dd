"""From judgments to pairs: every two completions of a ranking, with who judged them and how.

A text that the annotator wrote stands above all that were shown: edited > chosen > rejected.
"""

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
    judgment_id: str = ""
    strength: int | None = None  # 1 slightly, 2 better, 3 much; None: not said
    weight: float = 1.0


def judged_pairs(judgments: Iterable[Judgment]) -> list[Pair]:
    """All k(k-1)/2 pairs of each k-way ranking; the same text twice in a ranking makes no pair.

    Each weighs 2/k, the whole ranking k - 1: it took that many comparisons to make. Where all were
    found bad only the annotator's own text makes pairs, with each of them.
    """
    pairs = []
    for judgment in judgments:
        placed = sorted(zip(judgment.completions, judgment.ranks, strict=True))
        if judgment.improved:
            placed = sorted([(judgment.improved, 0), *placed])
        for (first, rank), (second, other) in itertools.combinations(placed, 2):
            if first == second or (judgment.all_bad and rank == other):
                continue
            pairs.append(
                Pair(
                    task_id=judgment.task_id,
                    annotator=judgment.annotator,
                    first=first,
                    second=second,
                    outcome=0.5 if rank == other else float(rank < other),
                    simulated=judgment.simulated,
                    judgment_id=judgment.id,
                    strength=judgment.strength if 0 not in (rank, other) else None,
                    weight=2 / len(placed),
                )
            )
    return pairs
