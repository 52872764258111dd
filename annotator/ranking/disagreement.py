"""Which comparisons a manager should decide: those that annotators order in opposite ways.

Reads only the newest comparisons that two or more have judged, so that the list costs the same in a
project of a million.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import combinations
from typing import Any

from annotator.models import Comparison, Project, Ranking

NEWEST = 5000
"""How many comparisons with two judgments or more are looked at."""
BATCH = 900  # ids in one query; SQLite takes no more than 999 or so

Vote = tuple[str, Mapping[str, int]]


@dataclass(frozen=True)
class Disagreement:
    """One comparison: how many judged it, and the share of what they said that contradicts, 0 to 1."""

    comparison_id: int
    votes: int
    share: float


def disagreements(project: Project) -> list[Disagreement]:
    """The comparisons nobody has decided yet, the most contradictory first, then the newest.

    Not those whose judgments came with a file: nobody here was asked.
    """
    rows = project.comparisons.filter(is_queued=True, is_adjudicated=False, judgments_taken__gte=2)
    rows = rows.exclude(rule=Comparison.Rule.IMPORTED)
    ids = list(rows.order_by("-pk").values_list("pk", flat=True)[:NEWEST])
    votes: defaultdict[int, list[Vote]] = defaultdict(list)
    for start in range(0, len(ids), BATCH):
        for comparison_id, verdict, ranks in _judgments(ids[start : start + BATCH]):
            votes[comparison_id].append((verdict, ranks))
    found = [Disagreement(pk, len(given), contradiction(given)) for pk, given in votes.items()]
    return sorted(
        (row for row in found if row.share > 0), key=lambda row: (row.share, row.comparison_id), reverse=True
    )


def following(project: Project, comparison: Comparison) -> Disagreement | None:
    """The next one to decide after this comparison; from the top again behind the last."""
    rows = [row for row in disagreements(project) if row.comparison_id != comparison.pk]
    here = (share_of(comparison), comparison.pk)
    return next((row for row in rows if (row.share, row.comparison_id) < here), rows[0] if rows else None)


def share_of(comparison: Comparison) -> float:
    """How far the annotators' judgments of the comparison contradict each other, decided or not."""
    return contradiction((verdict, ranks) for _pk, verdict, ranks in _judgments([comparison.pk]))


def contradiction(votes: Iterable[Vote]) -> float:
    """The mean over every two votes: 1 for different verdicts, else the share of pairs put the other way.

    A tie contradicts nothing: it only says less.
    """
    shares = [_opposed(one, other) for one, other in combinations(votes, 2)]
    return sum(shares) / len(shares) if shares else 0.0


def _opposed(one: Vote, other: Vote) -> float:
    if one[0] != other[0]:
        return 1.0
    ranks, others = one[1], other[1]
    pairs = list(combinations(sorted(ranks.keys() & others.keys()), 2))
    against = sum((ranks[a] - ranks[b]) * (others[a] - others[b]) < 0 for a, b in pairs)
    return against / len(pairs) if pairs else 0.0


def _judgments(ids: list[int]) -> Iterable[tuple[int, str, Any]]:
    rows = Ranking.objects.live().filter(comparison__in=ids, is_adjudication=False)
    return rows.order_by().values_list("comparison", "verdict", "ranks")
