"""What each rule values, by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest

from rlhf.lm import acquisition
from rlhf.lm.acquisition import (
    BY_HEADS,
    bald,
    by_heads,
    d_optimal,
    diverse,
    priorities,
    probabilities,
    thompson,
    variance,
)

ODDS = math.log(3)  # σ(log 3) = 3/4
SURE, SPLIT, EVEN = [ODDS, ODDS], [ODDS, -ODDS], [0.0, 0.0]


def test_heads_that_differ_are_worth_asking_about() -> None:
    first, second = np.array([SURE, SPLIT, EVEN]), np.zeros((3, 2))
    assert variance(first, second) == pytest.approx([0, 1 / 16, 0])  # 3/4 and 1/4
    entropy = -0.75 * math.log(0.75) - 0.25 * math.log(0.25)
    # An even pair would be uncertain to the end: nothing is learned about the heads.
    assert bald(first, second) == pytest.approx([0, math.log(2) - entropy, 0])


def test_thompson_wants_what_some_head_ranks_high() -> None:
    first, second = np.array([[2.0, 2.0], [0.0, 0.0]]), np.array([[1.0, 1.0], [0.0, 0.0]])
    assert thompson(first, second, np.random.default_rng(0)).tolist() == [3.0, 0.0]


def test_d_optimal_by_hand() -> None:
    """The gain of a pair is its p(1-p) xᵀ I⁻¹ x, here x² / 4 over what is known of its direction."""
    differences = np.array([[3.0, 0.0], [2.9, 0.0], [0.0, 1.0]])
    chances = np.full(3, 0.5)
    # gains: 9/4, 2.1, 1/4; after the first, 1 + 9/4 in that direction: 2.1/3.25 = 0.65 still beats 0.25
    assert d_optimal(differences, chances, np.eye(2), 3) == [0, 1, 2]
    # nearer to what is known already, the other direction comes first
    assert d_optimal(differences, chances, np.diag([8.0, 1.0]), 1) == [0]
    assert d_optimal(differences, chances, np.diag([10.0, 1.0]), 1) == [2]


def test_d_optimal_greedily_enlarges_the_determinant() -> None:
    rng = np.random.default_rng(0)
    differences, chances = rng.normal(size=(30, 5)), rng.uniform(0.1, 0.9, size=30)
    information = np.eye(5)
    for chosen in d_optimal(differences, chances, np.eye(5), 6):
        gained = [
            np.linalg.slogdet(information + p * (1 - p) * np.outer(x, x))[1]
            for x, p in zip(differences, chances, strict=True)
        ]
        best = information + chances[chosen] * (1 - chances[chosen]) * np.outer(
            differences[chosen], differences[chosen]
        )
        assert np.linalg.slogdet(best)[1] >= max(gained) - 0.2  # the others may be taken already
        information = best


def test_by_heads_by_hand() -> None:
    """Three heads that say 1, 2 and 6 of a pair: less their mean 3, over √2. What all say alike is 0."""
    first, second = np.array([[1.0, 2.0, 6.0], [5.0, 5.0, 5.0]]), np.zeros((2, 3))
    expected = np.array([[-2.0, -1.0, 3.0], [0.0, 0.0, 0.0]]) / math.sqrt(2)
    np.testing.assert_allclose(by_heads(first, second), expected)
    np.testing.assert_allclose(by_heads(first + 7, second - 1), expected)  # only the spread counts
    assert by_heads(np.ones((1, 1)), np.zeros((1, 1))).tolist() == [[0.0]]  # one head knows no doubt


def test_a_design_by_heads_is_the_one_of_the_heads_covariance_among_features() -> None:
    """All pairs tried by brute force in the space of features: none enlarges log det more than the next."""
    rng = np.random.default_rng(2)
    heads, features = rng.normal(size=(6, 3)), rng.normal(size=(40, 3))  # (K, D), of 20 pairs
    scores = features @ heads.T
    first, second = scores[::2], scores[1::2]
    differences, chances = features[::2] - features[1::2], probabilities(first, second).mean(1)
    covariance = np.cov(heads.T)  # over K - 1
    information = np.linalg.inv(covariance)
    seen = by_heads(first, second)
    np.testing.assert_allclose(seen @ seen.T, differences @ covariance @ differences.T)
    taken: list[int] = []
    for chosen in d_optimal(seen, chances, np.eye(6), 5):
        wider = [
            information + p * (1 - p) * np.outer(x, x) for x, p in zip(differences, chances, strict=True)
        ]
        gained = np.linalg.slogdet(np.array(wider))[1]
        gained[taken] = -np.inf
        assert int(np.argmax(gained)) == chosen
        information = wider[chosen]
        taken.append(chosen)


def test_each_task_has_its_turn() -> None:
    assert diverse(np.array([5.0, 4.0, 3.0, 2.0]), np.array([7, 7, 8, 8]), 3) == [0, 2, 1]


def test_priorities_move_only_what_a_rule_chose() -> None:
    rng = np.random.default_rng(1)
    first, second = rng.normal(size=(200, 5)), rng.normal(size=(200, 5))
    rules = ["bald", "random", "thompson", "repeat"] * 50
    assert np.array_equal(priorities(first, second, rules, seed=3), priorities(first, second, rules, seed=3))
    found = priorities(first, second, rules, seed=3)
    assert ((found > 0) & (found <= 1)).all()
    told = bald(first, second)[::4]
    assert (np.argsort(-found[::4]) == np.argsort(-told)).all()
    turned = priorities(second, first, rules, seed=3)
    np.testing.assert_array_equal(found[1::4], turned[1::4])  # random ones stay, whatever heads say


def test_priorities_follow_a_design_to_its_end_and_gains_after_that(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(4)
    first, second = rng.normal(size=(30, 5)), rng.normal(size=(30, 5))
    seen, chances = by_heads(first, second), probabilities(first, second).mean(1)
    whole = d_optimal(seen, chances, np.eye(5), 30)
    assert np.argsort(-priorities(first, second, [BY_HEADS] * 30)).tolist() == whole
    monkeypatch.setattr(acquisition, "DESIGNED", 4)
    cut = np.argsort(-priorities(first, second, [BY_HEADS] * 30)).tolist()
    assert cut[:5] == whole[:5] and sorted(cut) == list(range(30))
