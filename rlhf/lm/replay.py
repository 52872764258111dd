"""What a selection rule saves: people's votes, known beforehand, are revealed in the order in which it asks.

After each batch the heads are fitted again and judged on pairs that are never asked. How many labels a rule
needs for an accuracy, over how many random choice needs for it, is the label ratio.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from sklearn.isotonic import IsotonicRegression

from rlhf.lm import acquisition
from rlhf.lm.annotator_posterior import reliability_draws
from rlhf.lm.metrics import pair_credits
from rlhf.lm.reward_heads import Heads, PairArrays, fit_heads, last_heads
from rlhf.lm.trust import put_to

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

ANYBODY, BEST, BEST_HALF = "anybody", "best people", "best half"
"""Whom questions are put to: anybody, who is best in a draw of η, or one of those in its better half."""


@dataclass(frozen=True)
class Pool:
    """Pairs that may be asked, everybody's votes on them, and pairs to judge by.

    Shapes: features (C, D); first, second, tasks (N,); votes (N, A), 1 the first, 0 the second, 0.5 a tie;
    test_first, test_second (M,) with test_outcomes (M,).
    """

    features: Floats
    first: Ints
    second: Ints
    tasks: Ints
    votes: Floats
    test_first: Ints
    test_second: Ints
    test_outcomes: Floats


@dataclass(frozen=True)
class Plan:
    """How a replay goes. `random_share` of each batch is random whatever the rule, as in the product."""

    labels: int = 400
    batch: int = 20
    heads: int = 8
    l2: float = 1.0
    steps: int = 20
    random_share: float = 0.2


def replay(
    pool: Pool, plan: Plan, *, rule: str, people: str = ANYBODY, seed: int
) -> Iterator[tuple[int, float]]:
    """(labels asked, accuracy on the test pairs) after each batch. The first batch is random.

    Each pair is asked once; `people` is one of ANYBODY, BEST, BEST_HALF.
    """
    rng = np.random.default_rng(seed)
    annotators = pool.votes.shape[1]
    open_pairs = np.arange(len(pool.first))
    asked: list[tuple[int, int]] = []
    heads: Heads | None = None
    while len(asked) < plan.labels and len(open_pairs):
        batch = _choose(pool, plan, open_pairs, asked, heads, rule, rng)
        if heads is None or people == ANYBODY:
            whom = rng.integers(annotators, size=len(batch))
        else:
            among = 1 if people == BEST else (annotators + 1) // 2
            whom = put_to(_believed(pool, plan, asked, heads, seed), len(batch), rng, among=among)
        asked += zip(batch, whom.tolist(), strict=True)
        open_pairs = np.setdiff1d(open_pairs, batch)
        heads = _fit(pool, plan, asked, seed)
        yield len(asked), accuracy(pool, heads)


def accuracy(pool: Pool, heads: Heads) -> float:
    """Share of the test pairs that the heads' mean orders right, ties of either kind one half."""
    scores = pool.features @ heads.weights.mean(0)
    margins = scores[pool.test_first] - scores[pool.test_second]
    return float(pair_credits(margins, pool.test_outcomes).mean())


def votes_of(pool: Pool, asked: Sequence[tuple[int, int]]) -> PairArrays:
    """The votes that were asked for, as a reward model learns from them."""
    pairs, people = (np.array(column, dtype=np.int64) for column in zip(*asked, strict=True))
    return PairArrays(
        pool.first[pairs], pool.second[pairs], pool.votes[pairs, people], people, pool.tasks[pairs]
    )


def _fit(pool: Pool, plan: Plan, asked: Sequence[tuple[int, int]], seed: int) -> Heads:
    rounds = fit_heads(
        pool.features,
        votes_of(pool, asked),
        heads=plan.heads,
        l2=plan.l2,
        steps=plan.steps,
        seed=seed,
        annotators=pool.votes.shape[1],
    )
    return last_heads(rounds)


def _believed(pool: Pool, plan: Plan, asked: Sequence[tuple[int, int]], heads: Heads, seed: int) -> Floats:
    """Draws of everybody's η. Shape: (S, A)."""
    people = pool.votes.shape[1]
    votes = votes_of(pool, asked)
    return reliability_draws(
        pool.features, votes, heads.weights, l2=plan.l2, annotators=people, seed=seed + len(asked)
    )


def _choose(
    pool: Pool,
    plan: Plan,
    open_pairs: Ints,
    asked: Sequence[tuple[int, int]],
    heads: Heads | None,
    rule: str,
    rng: np.random.Generator,
) -> list[int]:
    """The next batch, as numbers of pairs."""
    count = min(plan.batch, plan.labels - len(asked), len(open_pairs))
    at_random = count if heads is None or rule == acquisition.RANDOM else round(plan.random_share * count)
    drawn = rng.permutation(open_pairs)
    chosen, rest = [int(n) for n in drawn[:at_random]], drawn[at_random:]
    if heads is None or at_random == count:
        return chosen
    wanted = count - at_random
    scores = pool.features @ heads.weights.T  # (C, K)
    first, second = scores[pool.first[rest]], scores[pool.second[rest]]
    if rule == acquisition.D_OPTIMAL:
        found = _d_optimal(pool, plan, rest, asked, first, second, wanted, heads)
    elif rule == acquisition.BY_HEADS:
        seen = acquisition.by_heads(first, second)
        chances = acquisition.probabilities(first, second).mean(1)
        found = acquisition.d_optimal(seen, chances, np.eye(seen.shape[1]), wanted)
    else:
        if rule == acquisition.THOMPSON:
            values = acquisition.thompson(first, second, rng)
        else:
            values = acquisition.MEASURES[rule](first, second)
        found = acquisition.diverse(values, pool.tasks[rest], wanted)
    return chosen + [int(rest[n]) for n in found]


def _d_optimal(
    pool: Pool,
    plan: Plan,
    rest: Ints,
    asked: Sequence[tuple[int, int]],
    first: Floats,
    second: Floats,
    wanted: int,
    heads: Heads,
) -> list[int]:
    before = np.array([pair for pair, _ in asked])
    known = pool.features[pool.first[before]] - pool.features[pool.second[before]]
    chance = acquisition.probabilities(known @ heads.weights.T, np.zeros((len(known), 1))).mean(1)
    information = plan.l2 * np.eye(pool.features.shape[1])
    information += (known * (chance * (1 - chance))[:, None]).T @ known
    differences = pool.features[pool.first[rest]] - pool.features[pool.second[rest]]
    chances = acquisition.probabilities(first, second).mean(1)
    return acquisition.d_optimal(differences, chances, information, wanted)


@dataclass(frozen=True)
class Ratio:
    """Labels that a rule needs over those that random choice needs, with a 95 % interval over seeds."""

    value: float
    low: float
    high: float
    target: float
    """The accuracy that both are to reach."""


def label_ratio(
    labels: Sequence[int],
    rule: Floats,
    random: Floats,
    *,
    at: float = 0.7,
    resamples: int = 2000,
    seed: int = 0,
) -> Ratio:
    """Curves (seeds, steps) of a rule and of random choice on the same seeds, paired bootstrap over these.

    The target is what random choice reaches on average with `at` of all labels; curves are averaged and made
    monotone. A rule that does not reach it counts as needing all labels, so no ratio exceeds 1/at.
    """
    steps = np.array(labels, dtype=np.float64)
    target = _monotone(steps, random.mean(0))[int(np.searchsorted(steps, at * steps[-1]))]

    def ratio(rows: Ints) -> float:
        both = (_monotone(steps, curve[rows].mean(0)) for curve in (rule, random))
        theirs, randoms = (_labels_to(steps, curve, target) for curve in both)
        return theirs / randoms

    rng = np.random.default_rng(seed)
    everything = np.arange(len(rule))
    drawn = [ratio(rng.integers(len(rule), size=len(rule))) for _ in range(resamples)]
    low, high = np.quantile(drawn, [0.025, 0.975])
    return Ratio(ratio(everything), float(low), float(high), float(target))


def _monotone(steps: Floats, curve: Floats) -> Floats:
    rising: Floats = IsotonicRegression().fit_transform(steps, curve)
    return rising


def _labels_to(steps: Floats, curve: Floats, target: float) -> float:
    """Where a rising curve first reaches the target, between steps by a straight line."""
    reached = np.flatnonzero(curve >= target - 1e-12)
    if not len(reached):
        return float(steps[-1])
    at = int(reached[0])
    if at == 0:
        return float(steps[0])
    share = (target - curve[at - 1]) / max(curve[at] - curve[at - 1], 1e-12)
    return float(steps[at - 1] + share * (steps[at] - steps[at - 1]))


def simulated_pool(
    seed: int, *, annotators: Sequence[float], tasks: int = 200, completions: int = 4, width: int = 24
) -> Pool:
    """Completions with features of falling spread and a known worth, and annotators of known reliability.

    Half of the worth's variance within a task is in the features. A vote follows the difference with
    logistic noise and is turned round with probability 1 - η: 1 good, 0.5 careless, below that malicious.
    """
    rng = np.random.default_rng(seed)
    spread = 1 / np.sqrt(1 + np.arange(width))
    features = rng.normal(size=(2 * tasks * completions, width)) * spread
    direction = rng.normal(size=width)
    seen = features @ direction
    scale = 2.0 / seen.std()
    worth = scale * seen
    every = [
        (completions * task + i, completions * task + j, task)
        for task in range(2 * tasks)
        for i in range(completions)
        for j in range(i)
    ]
    first, second, of_task = (np.array(column, dtype=np.int64) for column in zip(*every, strict=True))
    margins = worth[first] - worth[second]
    felt = (
        margins[:, None] + rng.normal(size=(len(first), 1)) + rng.logistic(size=(len(first), len(annotators)))
    )
    turned = rng.random(felt.shape) > np.array(annotators)
    votes = ((felt > 0) != turned).astype(np.float64)
    pool = of_task < tasks
    return Pool(
        features / features.std(),
        first[pool],
        second[pool],
        of_task[pool],
        votes[pool],
        first[~pool],
        second[~pool],
        (margins[~pool] > 0).astype(np.float64),
    )
