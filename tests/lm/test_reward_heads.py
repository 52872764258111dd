"""What fitting recovers from judgments whose truth is known."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest

from rlhf.lm.reward_heads import PairArrays, RankingArrays, fit_heads, fit_temperature, last_heads


def votes(seed: int = 0, *, tasks: int = 40, careless: int | None = None) -> tuple[np.ndarray, PairArrays]:
    """Completions whose worth is their first feature; four annotators judge all pairs of three a task."""
    rng = np.random.default_rng(seed)
    features = rng.normal(size=(3 * tasks, 8))
    rows = []
    for task in range(tasks):
        for a in range(4):
            for i, j in ((0, 1), (0, 2), (1, 2)):
                first, second = 3 * task + i, 3 * task + j
                right = float(features[first, 0] > features[second, 0])
                wrong = rng.random() < (0.5 if a == careless else 0.1)
                rows.append((first, second, 1 - right if wrong else right, a, task))
    first, second, outcomes, annotators, task_of = map(np.array, zip(*rows, strict=True))
    return features, PairArrays(first, second, outcomes, annotators, task_of)


def test_the_right_direction_is_found() -> None:
    features, pairs = votes()
    heads = last_heads(fit_heads(features, pairs, heads=3, l2=1.0, steps=40, seed=0))
    for weights in heads.weights:
        assert weights[0] / np.linalg.norm(weights) > 0.87
    assert not np.allclose(heads.weights[0], heads.weights[1])  # each weighs the tasks anew


def test_the_loss_falls_and_is_that_of_a_coin_before() -> None:
    features, pairs = votes()
    losses = [heads.loss for heads in fit_heads(features, pairs, heads=1, l2=1.0, steps=40, seed=0)]
    assert len(losses) == 8
    assert losses[0] < math.log(2)
    assert losses[-1] < 0.45  # entropy of a vote that errs one time in ten: 0.33


def test_the_careless_annotator_is_told_from_the_others() -> None:
    features, pairs = votes(careless=2)
    (reliability,) = last_heads(fit_heads(features, pairs, heads=1, l2=1.0, steps=60, seed=0)).reliability
    assert int(reliability.argmin()) == 2
    assert reliability[2] < 0.75 < min(reliability[[0, 1, 3]])


def test_an_annotator_without_votes_stays_at_the_prior() -> None:
    features, pairs = votes()
    heads = last_heads(fit_heads(features, pairs, heads=1, l2=1.0, steps=40, seed=0, annotators=5))
    assert heads.reliability[0, 4] == pytest.approx(8 / 9, abs=0.01)  # (9-1) / (9+2-2)


def test_ties_alone_move_nothing() -> None:
    features, pairs = votes()
    tied = PairArrays(pairs.first, pairs.second, np.full(len(pairs), 0.5), pairs.annotators, pairs.tasks)
    heads = last_heads(fit_heads(features, tied, heads=1, l2=1.0, steps=20, seed=0))
    assert np.abs(heads.weights).max() < 1e-6


def test_fitting_is_repeatable() -> None:
    features, pairs = votes()
    one, other = (last_heads(fit_heads(features, pairs, heads=2, l2=1.0, steps=20, seed=4)) for _ in range(2))
    assert (one.weights == other.weights).all()


def test_nothing_to_fit_is_an_error() -> None:
    features, pairs = votes()
    with pytest.raises(ValueError, match="no judged pairs"):
        last_heads(
            fit_heads(features, pairs.take(np.zeros(len(pairs), bool)), heads=1, l2=1.0, steps=5, seed=0)
        )


def test_temperature_by_hand() -> None:
    # A margin of 2 that is right three times in four: σ(2/T) = 3/4, so T = 2 / log 3 = 1.82.
    found = fit_temperature(np.array([2.0] * 4), np.array([1.0, 1.0, 1.0, 0.0]))
    assert found == pytest.approx(2 / math.log(3), rel=0.02)


def planted(seed: int) -> tuple[np.ndarray, PairArrays, list[float]]:
    """Seven careful annotators and three who toss a coin judge 30 pairs each, with ties and strengths."""
    rng = np.random.default_rng(seed)
    features = rng.normal(size=(400, 20))
    worth = features @ rng.normal(size=20) / 3 + rng.normal(size=400)
    pairs = [(4 * task + i, 4 * task + j) for task in range(100) for i in range(4) for j in range(i)]
    careful = [0.95] * 7 + [0.5] * 3
    rows = []
    for annotator, honest in enumerate(careful):
        for first, second in rng.permutation(pairs)[:30]:
            felt = worth[first] - worth[second] + rng.logistic()
            said = felt if rng.random() < honest else -felt
            tie = abs(felt) < 0.4
            strength = 0.0 if tie else 1.0 + (abs(felt) > 1.2) + (abs(felt) > 2.4)
            rows.append((first, second, 0.5 if tie else float(said > 0), annotator, first // 4, strength))
    first, second, outcomes, annotators, tasks, strengths = map(np.array, zip(*rows, strict=True))
    return features, PairArrays(first, second, outcomes, annotators, tasks, strengths), careful


@pytest.mark.parametrize("strength", ["graded", "ignored"])
def test_planted_careless_annotators_are_found_and_not_flattered(strength: str) -> None:
    """Over ten draws: the chance that a careful one stands above a careless one (AUC) is at least 0.9."""
    above, careless = [], []
    for seed in range(10):
        features, pairs, _ = planted(seed)
        fitted = last_heads(fit_heads(features, pairs, heads=1, l2=5.0, steps=60, seed=0, strength=strength))
        eta = fitted.reliability[0]
        above.append((eta[:7, None] > eta[None, 7:]).mean())
        careless.append(eta[7:].mean())
    assert np.mean(above) >= 0.9
    assert np.mean(careless) < 0.82  # maximised jointly with each pair's own deviation it was 0.94


def test_strength_says_more_than_the_winner() -> None:
    """Where strengths are true, the direction found from them is nearer to the truth."""
    gained = []
    for seed in range(5):
        features, pairs, _ = planted(seed)
        truth = np.random.default_rng(seed)
        truth.normal(size=(400, 20))
        direction = truth.normal(size=20)
        found = [
            last_heads(fit_heads(features, pairs, heads=1, l2=5.0, steps=60, seed=0, strength=way)).weights[0]
            for way in ("graded", "ignored")
        ]
        graded, ignored = (w @ direction / np.linalg.norm(w) / np.linalg.norm(direction) for w in found)
        gained.append(graded - ignored)
    assert np.mean(gained) > 0.03


def test_a_vote_of_weight_two_is_two_votes() -> None:
    features, pairs = votes(tasks=6)
    twice = pairs.take(np.repeat(np.arange(len(pairs)), 2))
    weighed = dataclasses.replace(pairs, weights=np.full(len(pairs), 2.0))
    one, other = (
        last_heads(fit_heads(features, p, heads=1, l2=1.0, steps=100, seed=0)) for p in (twice, weighed)
    )
    np.testing.assert_allclose(one.weights, other.weights, atol=1e-4)
    np.testing.assert_allclose(one.reliability, other.reliability, atol=1e-4)


def test_orders_and_verdicts_are_learned_from() -> None:
    features, pairs = votes(tasks=40)
    rows = np.arange(120).reshape(40, 3)
    ranks = (-features[rows, 0]).argsort(1).argsort(1) + 1
    who, tasks = np.zeros(40, np.int64), np.arange(40)
    none = pairs.take(np.zeros(len(pairs), bool))
    orders = RankingArrays(rows, who, tasks, ranks=ranks)
    fitted = last_heads(fit_heads(features, none, heads=2, l2=1.0, steps=40, seed=0, orders=orders))
    for weights in fitted.weights:
        assert weights[0] / np.linalg.norm(weights) > 0.9
    # All are bad where none is above 0.5 in the feature that counts; the bar is found between.
    bad = (features[rows, 0] < 0.5).all(1).astype(float)
    verdicts = RankingArrays(rows, who, tasks, all_bad=bad)
    fitted = last_heads(fit_heads(features, pairs, heads=1, l2=1.0, steps=60, seed=0, verdicts=verdicts))
    assert fitted.bar[0] / fitted.weights[0, 0] == pytest.approx(0.5, abs=0.4)


def test_heads_continue_where_others_ended() -> None:
    """One vote more: from the heads before it takes fewer iterations to the same heads."""
    features, pairs = votes(tasks=30)
    fewer = pairs.take(np.arange(len(pairs)) < len(pairs) - 1)
    before = last_heads(fit_heads(features, fewer, heads=2, l2=1.0, steps=100, seed=0))
    afresh = last_heads(fit_heads(features, pairs, heads=2, l2=1.0, steps=100, seed=0))
    warm = last_heads(fit_heads(features, pairs, heads=2, l2=1.0, steps=10, seed=0, start=before))
    np.testing.assert_allclose(warm.weights, afresh.weights, atol=0.02)
    with pytest.raises(ValueError, match="as many heads"):
        last_heads(fit_heads(features, pairs, heads=3, l2=1.0, steps=5, seed=0, start=before))


def test_unknown_ways_to_read_votes_are_refused() -> None:
    features, pairs = votes(tasks=4)
    with pytest.raises(ValueError, match="unknown way"):
        last_heads(fit_heads(features, pairs, heads=1, l2=1.0, steps=5, seed=0, ties="never"))
