"""Draws of η are those of the posterior: where it can be summed up, they agree with the sum."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import ndtr

from rlhf.lm.annotator_posterior import ETAS, NOISE, log_prior, reliability_draws
from rlhf.lm.replay import simulated_pool
from rlhf.lm.reward_heads import PairArrays


def votes_of(outcomes: list[float], people: list[int]) -> PairArrays:
    """Vote n is on completions 2n and 2n + 1."""
    n = np.arange(len(outcomes))
    return PairArrays(2 * n, 2 * n + 1, np.array(outcomes), np.array(people), n)


def test_the_prior_is_mostly_the_heads() -> None:
    """Beta(9, 2) at 0.95 and 0.85 is as 0.95⁸ 0.05 to 0.85⁸ 0.15; a tenth of a quarter is everywhere."""
    chance = np.exp(log_prior())
    assert chance.sum() == pytest.approx(1)
    assert chance[0] == pytest.approx(0.025, abs=1e-6)
    ratio = (chance[9] - 0.025) / (chance[8] - 0.025)
    assert ratio == pytest.approx((0.95 / 0.85) ** 8 / 3)


def test_draws_agree_with_the_sum() -> None:
    """One feature, two people: P(η | votes) summed over a grid of the weight."""
    features = np.array([[1.5], [0.0], [0.0], [2.0], [1.0], [-1.0], [0.5], [-1.5], [1.2], [0.0]])
    outcomes, people = [1.0, 0.0, 1.0, 0.0, 0.0], [0, 0, 0, 1, 1]
    x = features[0::2, 0] - features[1::2, 0]
    l2 = 0.01
    w = np.linspace(-15, 15, 4001)
    chances = ndtr(np.outer(w, x) * (2 * np.array(outcomes) - 1))  # (W, 5)
    of_vote = ETAS * chances[..., None] + (1 - ETAS) * (1 - chances[..., None])  # (W, 5, G)
    first, second = of_vote[:, :3].prod(1), of_vote[:, 3:].prod(1)
    both = np.einsum("w,wg,wh->gh", np.exp(-l2 * NOISE**2 / 2 * w**2), first, second)
    both *= np.exp(log_prior()[:, None] + log_prior())
    both /= both.sum()
    draws = reliability_draws(
        features, votes_of(outcomes, people), np.zeros((50, 1)), l2=l2, annotators=2, sweeps=900
    )
    for person, exact in enumerate((both.sum(1), both.sum(0))):
        drawn = [(draws[:, person] == eta).mean() for eta in ETAS]
        np.testing.assert_allclose(drawn, exact, atol=0.015)


def test_nobody_knows_who_did_not_vote_and_ties_say_nothing() -> None:
    features = np.random.default_rng(0).normal(size=(8, 2))
    votes = votes_of([1.0, 0.0, 0.5, 0.5], [0, 0, 1, 1])
    draws = reliability_draws(features, votes, np.zeros((40, 2)), l2=1.0, annotators=3, sweeps=300)
    expected = np.exp(log_prior()) @ ETAS
    assert draws[:, 1:].mean(0) == pytest.approx([expected] * 2, abs=0.01)


def test_who_tosses_a_coin_or_answers_the_opposite_is_found() -> None:
    """Thirty votes of each of ten, from any start: the six careful ones are ahead of the four others."""
    etas = (0.95,) * 6 + (0.5,) * 2 + (0.1,) * 2
    pool = simulated_pool(3, annotators=etas)
    pairs = np.random.default_rng(3).permutation(len(pool.first))[:300]
    people = np.arange(300) % 10
    votes = PairArrays(
        pool.first[pairs], pool.second[pairs], pool.votes[pairs, people], people, pool.tasks[pairs]
    )
    starts = np.random.default_rng(0).normal(size=(8, pool.features.shape[1]))
    draws = reliability_draws(pool.features, votes, starts, l2=1.0, annotators=10)
    mean = draws.mean(0)
    assert draws.shape == (8 * 30, 10)
    assert mean[:6].min() > mean[6:].max()
    np.testing.assert_array_equal(
        draws, reliability_draws(pool.features, votes, starts, l2=1.0, annotators=10)
    )
