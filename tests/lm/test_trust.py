"""Whom questions are put to: who may be the best, by how sure one is of them."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import logit

from rlhf.lm.reliability import reliability_errors
from rlhf.lm.reward_heads import PairArrays, fit_heads, last_heads
from rlhf.lm.trust import Trust, put_to, trust_in

COUNT = 20_000


def shares(trust: Trust, *, among: int = 1) -> np.ndarray:
    people = put_to(trust, COUNT, np.random.default_rng(0), among=among)
    return np.bincount(people, minlength=len(trust.mean)) / COUNT


def test_who_is_known_to_be_best_is_asked() -> None:
    sure = Trust(np.array([1.0, 3.0, 2.0]), np.full(3, 1e-6))
    assert shares(sure).tolist() == [0.0, 1.0, 0.0]
    assert shares(sure, among=2) == pytest.approx([0.0, 0.5, 0.5], abs=0.02)


def test_who_may_be_best_is_asked_as_often_as_they_are() -> None:
    """Means 1 apart, both drawn with half an error of 2: the second comes out better with Φ(-1/√2)."""
    assert shares(Trust(np.array([1.0, 0.0]), np.full(2, 2.0))) == pytest.approx([0.7602, 0.2398], abs=0.015)
    alike = Trust(np.zeros(4), np.ones(4))
    assert shares(alike) == pytest.approx([0.25] * 4, abs=0.02)


def test_who_answers_the_opposite_is_not_asked() -> None:
    assert shares(Trust(logit(np.array([0.7, 0.02])), np.full(2, 0.3)))[1] < 0.001


def test_trust_is_what_the_heads_have_learned_with_its_errors() -> None:
    rng = np.random.default_rng(1)
    features = rng.normal(size=(200, 3))
    first, second = 2 * np.arange(100), 2 * np.arange(100) + 1
    wins = (features[first] - features[second]).sum(1) > 0
    who = rng.integers(3, size=100)
    votes = PairArrays(first, second, np.where(who == 2, rng.random(100) > 0.5, wins) * 1.0, who, first)
    heads = last_heads(fit_heads(features, votes, heads=3, l2=1.0, steps=30, seed=0, annotators=4))
    scores = features @ heads.weights.mean(0)
    trust = trust_in(heads, scores, votes, ties="half", strength="ignored")
    np.testing.assert_allclose(trust.mean, logit(heads.reliability.mean(0)))
    errors = reliability_errors(heads, scores, votes, ties="half", strength="ignored")
    np.testing.assert_allclose(trust.error, errors)
    assert trust.mean[2] < min(trust.mean[:2])
    assert trust.error[3] == pytest.approx(max(trust.error), rel=0.2)  # nobody knows them
