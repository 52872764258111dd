"""How far annotators agree with each other: the ceiling for every reward model.

Pairwise agreement, with ties as one half (WebGPT, arXiv 2112.09332): of every two completions that
two people have ordered in the same comparison, do they order them the same way? A tie on either side
stands for a coin and earns one half, by the rule that reward models are measured with too.

Kendall's tau-b: the mean over pairs of annotators of a comparison, undefined ones left out.

Krippendorff's alpha, ordinal: a unit is an ordered pair of a comparison's completions, its values the
signed strengths (-3 to 3) where everybody gave one, else the signs. Both orders of a pair are units, so
that it makes no difference which completion is called the first.

All three are ratios of sums over comparisons. A comparison is therefore counted once, into a row of
sums, and a bootstrap over prompts is a matrix product of such rows.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from itertools import combinations
from typing import Any

import numpy as np
import numpy.typing as npt

from annotator.models import Project
from annotator.quality.votes import Vote, judged_comparisons

Floats = npt.NDArray[np.float64]

RESAMPLES = 1000
BLOCKS = 1000
"""Beyond so many prompts, chance blocks of them are resampled: the same interval, bounded work."""
VALUES = 7  # -3 to 3
SUMS = 4  # credit, pairs, tau, taus
WIDTH = SUMS + VALUES * VALUES


@dataclass(frozen=True)
class Agreement:
    """A measure with its 95 % interval, and from how many pairs of votes it comes."""

    value: float
    low: float
    high: float
    pairs: int


@dataclass(frozen=True)
class Measures:
    """The three measures; None where one cannot be computed."""

    pairwise: Agreement | None
    tau: Agreement | None
    alpha: Agreement | None
    prompts: int

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


def pairwise_agreement(project: Project, *, simulated: bool | None = None) -> Agreement | None:
    """The annotators' agreement; None before two of them have ordered the same pair.

    The interval resamples whole prompts, since the pairs of one prompt hang together. With
    `simulated` only (True) or no (False) simulated annotators count.
    """
    rows: dict[int, Floats] = {}
    for judged in judged_comparisons(project, simulated=simulated):
        rows[judged.prompt] = rows.get(judged.prompt, 0) + sums_of(judged.votes)
    return measures(np.array(list(rows.values()))).pairwise if rows else None


def credits(one: dict[str, int], other: dict[str, int]) -> Iterator[float]:
    """For each pair of completions: 1 ordered alike, 0 the other way round, one half for a tie."""
    for first, second in combinations(sorted(one.keys() & other.keys()), 2):
        product = (one[first] - one[second]) * (other[first] - other[second])
        yield 0.5 if product == 0 else float(product > 0)


def tau_b(one: dict[str, int], other: dict[str, int]) -> float | None:
    """Kendall's tau-b of two orders; None where one of them is all ties."""
    concordance, ordered_by_one, ordered_by_other = 0, 0, 0
    for first, second in combinations(one.keys() & other.keys(), 2):
        a, b = _sign(one[first] - one[second]), _sign(other[first] - other[second])
        concordance += a * b
        ordered_by_one += a * a
        ordered_by_other += b * b
    if not ordered_by_one or not ordered_by_other:
        return None
    return float(concordance / np.sqrt(ordered_by_one * ordered_by_other))


def sums_of(votes: Sequence[Vote]) -> Floats:
    """A comparison's row: credit, pairs of votes, tau-b and their number, then the coincidences."""
    row = np.zeros(WIDTH)
    for one, other in combinations(votes, 2):
        for earned in credits(one.ranks, other.ranks):
            row[0] += earned
            row[1] += 1
        tau = tau_b(one.ranks, other.ranks)
        if tau is not None:
            row[2] += tau
            row[3] += 1
    if len(votes) > 1:
        row[SUMS:] = _coincidences(votes).ravel()
    return row


def measures(rows: Floats) -> Measures:
    """The measures of rows of sums, one a prompt, with intervals that resample the rows."""
    blocks = _blocks(rows)
    n = len(blocks)
    counts = np.random.default_rng(0).multinomial(n, np.full(n, 1 / n), size=RESAMPLES).astype(np.float64)
    whole, drawn = blocks.sum(axis=0, keepdims=True), counts @ blocks
    pairs = round(float(whole[0, 1]))

    def measure(value: Floats, resampled: Floats) -> Agreement | None:
        known = resampled[np.isfinite(resampled)]
        if not np.isfinite(value[0]) or not len(known):
            return None
        low, high = np.quantile(known, [0.025, 0.975])
        return Agreement(float(value[0]), float(low), float(high), pairs)

    return Measures(
        pairwise=measure(_ratio(whole[:, 0], whole[:, 1]), _ratio(drawn[:, 0], drawn[:, 1])),
        tau=measure(_ratio(whole[:, 2], whole[:, 3]), _ratio(drawn[:, 2], drawn[:, 3])),
        alpha=measure(alpha(whole[:, SUMS:]), alpha(drawn[:, SUMS:])),
        prompts=len(rows),
    )


def alpha(coincidences: Floats) -> Floats:
    """Krippendorff's ordinal alpha of each row of coincidences (49 numbers); NaN where undefined."""
    table = coincidences.reshape(-1, VALUES, VALUES)
    margins = table.sum(axis=2)
    middle = margins.cumsum(axis=1) - margins / 2
    distance = (middle[:, :, None] - middle[:, None, :]) ** 2
    observed = (table * distance).sum(axis=(1, 2))
    expected = (margins[:, :, None] * margins[:, None, :] * distance).sum(axis=(1, 2))
    return 1 - _ratio((margins.sum(axis=1) - 1) * observed, expected)


def _coincidences(votes: Sequence[Vote]) -> Floats:
    ordered = [len(set(vote.ranks.values())) > 1 for vote in votes]
    has_strengths = len(votes[0].ranks) == 2 and all(
        vote.strength for vote, has_order in zip(votes, ordered, strict=True) if has_order
    )
    table = np.zeros((VALUES, VALUES))
    keys = sorted(set.intersection(*(set(vote.ranks) for vote in votes)))
    for first, second in combinations(keys, 2):
        counts = np.zeros(VALUES)
        for vote in votes:
            sign = _sign(vote.ranks[second] - vote.ranks[first])
            counts[3 + sign * ((vote.strength or 0) if has_strengths else 1)] += 1
        unit = (np.outer(counts, counts) - np.diag(counts)) / (len(votes) - 1)
        table += unit + unit[::-1, ::-1]
    return table


def _blocks(rows: Floats) -> Floats:
    if len(rows) <= BLOCKS:
        return rows
    order = np.random.default_rng(1).permutation(len(rows))
    return np.array([rows[part].sum(axis=0) for part in np.array_split(order, BLOCKS)])


def _ratio(over: Floats, under: Floats) -> Floats:
    ratio: Floats = np.divide(over, under, out=np.full(len(over), np.nan), where=under > 0)
    return ratio


def _sign(number: int) -> int:
    return (number > 0) - (number < 0)
