"""The loss by hand, and what fitting recovers from votes whose truth is known."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from rlhf.lm.reward_heads import PairArrays, fit_heads, fit_temperature, last_heads, vote_log_likelihood


def log_odds(probability: float) -> float:
    return math.log(probability / (1 - probability))


@pytest.mark.parametrize(
    ("margin", "reliability", "outcome", "probability"),
    [
        (log_odds(0.8), 0.9, 1.0, 0.9 * 0.8 + 0.1 * 0.2),  # 0.74
        (log_odds(0.8), 0.9, 0.0, 0.9 * 0.2 + 0.1 * 0.8),  # 0.26
        (log_odds(0.8), 0.5, 1.0, 0.5),  # a coin says nothing
        (log_odds(0.8), 0.1, 1.0, 0.1 * 0.8 + 0.9 * 0.2),  # who says the opposite
        (0.0, 0.9, 0.0, 0.5),
        (0.0, 0.9, 0.5, 0.5),
        (log_odds(0.8), 0.9, 0.5, math.sqrt(0.74 * 0.26)),  # a tie: half of each side
    ],
)
def test_probability_of_a_vote(margin: float, reliability: float, outcome: float, probability: float) -> None:
    found = vote_log_likelihood(
        torch.tensor(margin), torch.tensor(log_odds(reliability)), torch.tensor(outcome)
    )
    assert found.exp().item() == pytest.approx(probability, rel=1e-5)


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
        assert weights[0] / np.linalg.norm(weights) > 0.9
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
