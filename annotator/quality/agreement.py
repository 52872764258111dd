"""How far annotators agree with each other: the ceiling for every reward model.

Pairwise agreement, with ties as one half (WebGPT, arXiv 2112.09332): of every two completions that
two people have ordered in the same comparison, do they order them the same way? A tie on either side
stands for a coin and earns one half, by the rule that reward models are measured with too.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import combinations, groupby

import numpy as np
import numpy.typing as npt

from annotator.models import Project, Ranking, Verdict

RESAMPLES = 1000


@dataclass(frozen=True)
class Agreement:
    """A share with its 95 % interval, and from how many pairs of votes it comes."""

    value: float
    low: float
    high: float
    pairs: int


def pairwise_agreement(project: Project, *, simulated: bool | None = None) -> Agreement | None:
    """The annotators' agreement; None before two of them have ordered the same pair.

    The interval resamples whole prompts, since the pairs of one prompt hang together. With
    `simulated` only (True) or no (False) simulated annotators count.
    """
    credit: dict[int, float] = {}
    pairs: dict[int, int] = {}
    for prompt_id, votes in _votes_by_comparison(project, simulated):
        for one, other in combinations(votes, 2):
            for earned in credits(one, other):
                credit[prompt_id] = credit.get(prompt_id, 0.0) + earned
                pairs[prompt_id] = pairs.get(prompt_id, 0) + 1
    if not pairs:
        return None
    sums, counts = np.array([credit[key] for key in pairs]), np.array(list(pairs.values()))
    low, high = _interval(sums, counts)
    return Agreement(value=float(sums.sum() / counts.sum()), low=low, high=high, pairs=int(counts.sum()))


def credits(one: dict[str, int], other: dict[str, int]) -> Iterator[float]:
    """For each pair of completions: 1 ordered alike, 0 the other way round, one half for a tie."""
    for first, second in combinations(sorted(one.keys() & other.keys()), 2):
        product = (one[first] - one[second]) * (other[first] - other[second])
        yield 0.5 if product == 0 else float(product > 0)


def _votes_by_comparison(
    project: Project, simulated: bool | None
) -> Iterator[tuple[int, list[dict[str, int]]]]:
    rankings = Ranking.objects.live().filter(
        comparison__project=project,
        comparison__judgments_taken__gte=2,  # where there can be two votes at all
        verdict=Verdict.RANKED,
    )
    if simulated is not None:
        rankings = rankings.filter(is_simulated=simulated)
    rows = rankings.order_by("comparison", "pk").values_list("comparison", "comparison__prompt", "ranks")
    for _, group in groupby(rows.iterator(chunk_size=2000), key=lambda row: row[0]):
        votes = list(group)
        yield votes[0][1], [ranks for _, _, ranks in votes]


def _interval(sums: npt.NDArray[np.float64], counts: npt.NDArray[np.int_]) -> tuple[float, float]:
    rng = np.random.default_rng(0)
    n = len(sums)
    means = []
    for _ in range(RESAMPLES):
        drawn = rng.integers(n, size=n)
        means.append(sums[drawn].sum() / counts[drawn].sum())
    low, high = np.quantile(means, [0.025, 0.975])
    return float(low), float(high)
