"""The numbers that judge: bootstrap intervals, accuracy of pairs, agreement, calibration, diversity.

numpy alone. A tie, judged or predicted, stands for a coin: it earns one half wherever it occurs,
so that a model which never ties and people who do are measured by the same rule.
"""

from __future__ import annotations

import itertools
import re
from collections import defaultdict
from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

# A word, or a single character of a script that is written without spaces.
_UNSPACED = r"\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7af"
_WORD = re.compile(rf"[{_UNSPACED}]|[^\W{_UNSPACED}]+")


@dataclass(frozen=True)
class Interval:
    """A figure with the interval in which it lies, 95 % unless said otherwise."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class Bin:
    """One bar of a reliability diagram: how sure the model was, and how often it was right."""

    low: float
    high: float
    count: int
    confidence: float
    accuracy: float
    interval: Interval | None = None
    """Of the accuracy, by resampling groups; None where there are none to resample."""


def bootstrap_mean(
    values: Sequence[float] | Floats,
    groups: Sequence[Hashable] | None = None,
    *,
    resamples: int = 1000,
    level: float = 0.95,
    seed: int = 0,
) -> Interval:
    """The mean of all values, with a percentile interval from resampling whole groups.

    Values of one group (the pairs of one task) are not independent, so a group is drawn as a whole.
    Without groups each value is its own. Raises ValueError when there is nothing to resample.
    """
    data = np.asarray(values, dtype=np.float64)
    if data.size == 0:
        raise ValueError("no values to take the mean of")
    keys = range(len(data)) if groups is None else groups
    if len(keys) != len(data):
        raise ValueError(f"{len(data)} values, but {len(keys)} groups")
    number: dict[Hashable, int] = {}
    index = np.array([number.setdefault(key, len(number)) for key in keys])
    sums, counts = np.bincount(index, weights=data), np.bincount(index)

    rng = np.random.default_rng(seed)
    drawn = rng.multinomial(len(sums), np.full(len(sums), 1 / len(sums)), size=resamples)  # (R, G)
    means = (drawn @ sums) / (drawn @ counts)
    return interval_of(float(data.mean()), means, level=level)


def interval_of(value: float, resampled: Floats, *, level: float = 0.95) -> Interval:
    """A value with the interval that holds this share of what it was in resamples (R,)."""
    low, high = np.quantile(resampled, [(1 - level) / 2, (1 + level) / 2])
    return Interval(value, float(low), float(high))


def bootstrap_difference(
    before: Sequence[float] | Floats,
    after: Sequence[float] | Floats,
    groups: Sequence[Hashable] | None = None,
    *,
    resamples: int = 1000,
    level: float = 0.95,
    seed: int = 0,
) -> Interval:
    """Mean of `after - before`, item by item: what both share (a hard task) cancels out."""
    first, second = np.asarray(before, dtype=np.float64), np.asarray(after, dtype=np.float64)
    if first.shape != second.shape:
        raise ValueError(f"{first.size} values before, but {second.size} after")
    return bootstrap_mean(second - first, groups, resamples=resamples, level=level, seed=seed)


def pair_credits(margins: Sequence[float] | Floats, outcomes: Sequence[float] | Floats) -> Floats:
    """What each prediction earns: 1 right, 0 wrong, one half where either side sees a tie.

    `margins[i]` > 0 predicts that the first is better; `outcomes[i]` is 1 if it was judged so,
    0 if the second was, 0.5 for a tie. The mean of the credits is the pairwise accuracy.
    """
    predicted = np.sign(np.asarray(margins, dtype=np.float64))
    judged = np.sign(np.asarray(outcomes, dtype=np.float64) - 0.5)
    return (1 + predicted * judged) / 2


def less_group_means(values: Floats, groups: Sequence[Hashable] | npt.NDArray[np.int64]) -> Floats:
    """Each value less the mean of its group's. Shape: (N,)."""
    _, index = np.unique(np.asarray(groups), return_inverse=True)
    means = np.bincount(index, weights=values) / np.bincount(index)
    deviations: Floats = values - means[index]
    return deviations


def longer_wins(lengths: Sequence[tuple[int, int]], outcomes: Sequence[float]) -> Floats:
    """The credits of the rule "the longer one is better", for lengths (first, second)."""
    return pair_credits([first - second for first, second in lengths], outcomes)


def annotator_agreement(
    votes: Iterable[tuple[Hashable, Hashable, str, float]],
) -> tuple[Floats, list[Hashable]]:
    """Credits of annotators against each other: the human ceiling of every reward model.

    Votes are (group, item, annotator, outcome). Each pair of different annotators who judged the
    same item gives one credit; returned with the credits' groups, for `bootstrap_mean`. Somebody
    who judged an item more than once counts with the mean of those outcomes.
    """
    by_item: dict[tuple[Hashable, Hashable], dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    for group, item, annotator, outcome in votes:
        by_item[group, item][annotator].append(outcome)
    first, second, groups = [], [], []
    for (group, _), given in by_item.items():
        means = [float(np.mean(outcomes)) for outcomes in given.values()]
        for one, other in itertools.combinations(means, 2):
            first.append(one - 0.5)
            second.append(other)
            groups.append(group)
    return pair_credits(first, second), groups


def reliability_bins(
    probabilities: Sequence[float] | Floats,
    outcomes: Sequence[float] | Floats,
    *,
    bins: int = 10,
    groups: npt.NDArray[np.int64] | None = None,
) -> list[Bin]:
    """The reliability diagram: equal bins of the probability, empty ones left out.

    With `groups` (of the outcomes) each has an interval; one group alone says nothing of its spread.
    """
    stated, happened = np.asarray(probabilities, dtype=np.float64), np.asarray(outcomes, dtype=np.float64)
    if stated.shape != happened.shape:
        raise ValueError(f"{stated.size} probabilities, but {happened.size} outcomes")
    index = np.clip((stated * bins).astype(int), 0, bins - 1)

    def spread(inside: npt.NDArray[np.bool_]) -> Interval | None:
        if groups is None or len(np.unique(groups[inside])) < 2:
            return None
        return bootstrap_mean(happened[inside], groups[inside].tolist())

    return [
        Bin(
            low=i / bins,
            high=(i + 1) / bins,
            count=int(inside.sum()),
            confidence=float(stated[inside].mean()),
            accuracy=float(happened[inside].mean()),
            interval=spread(inside),
        )
        for i in range(bins)
        if (inside := index == i).any()
    ]


def expected_calibration_error(
    probabilities: Sequence[float] | Floats, outcomes: Sequence[float] | Floats, *, bins: int = 10
) -> float:
    """Mean distance between what was stated and what happened, over the bins (Naeini et al. 2015)."""
    diagram = reliability_bins(probabilities, outcomes, bins=bins)
    total = sum(bar.count for bar in diagram)
    if not total:
        raise ValueError("no probabilities to calibrate")
    return sum(bar.count * abs(bar.confidence - bar.accuracy) for bar in diagram) / total


def words(text: str) -> list[str]:
    """Lower-case words; each Chinese, Japanese or Korean character is a word of its own."""
    return _WORD.findall(text.lower())


def distinct_n(texts: Iterable[str], n: int) -> float:
    """Different n-grams over all n-grams of the texts together (Li et al. 2016); 0 without any."""
    grams = [gram for text in texts for gram in _ngrams(words(text), n)]
    return len(set(grams)) / len(grams) if grams else 0.0


def self_similarity(texts: Sequence[str]) -> float:
    """Mean overlap (Jaccard) of the sets of words over all pairs of texts; 0 for fewer than two."""
    sets = [set(words(text)) for text in texts]
    overlaps = [
        len(one & other) / len(one | other) if one | other else 1.0
        for one, other in itertools.combinations(sets, 2)
    ]
    return float(np.mean(overlaps)) if overlaps else 0.0


def _ngrams(tokens: Sequence[str], n: int) -> Iterable[tuple[str, ...]]:
    return (tuple(tokens[i : i + n]) for i in range(len(tokens) - n + 1))
