"""Best-of-n: what is kept, and how far it goes from the generator."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest

from rlhf.lm.best_of_n import best, kl_bound, pessimistic


def test_doubt_is_taken_off_the_mean():
    assert pessimistic(np.array([1.0, 0.8]), np.array([1.0, 0.2]), 0.5) == pytest.approx([0.5, 0.7])


def test_the_highest_are_kept_best_first():
    assert best(["a", "b", "c", "d"], [0.1, 0.9, -1.0, 0.5], keep=2) == ["b", "d"]


def test_of_equals_the_earlier_is_kept():
    assert best(["a", "b", "c"], [1.0, 1.0, 1.0], keep=1) == ["a"]


def test_where_there_are_few_all_are_kept():
    assert best(["a"], [0.0], keep=4) == ["a"]
    assert best([], [], keep=4) == []


def test_every_candidate_needs_a_score():
    with pytest.raises(ValueError, match="2 candidates, but 1 score"):
        best(["a", "b"], [1.0], keep=1)


@pytest.mark.parametrize("n", [1, 2, 3])
def test_the_bound_is_reached_where_no_two_candidates_are_the_same(n: int):
    size = 40  # equally likely texts, of which the higher number is the better one
    highest = np.zeros(size)
    for drawn in itertools.product(range(size), repeat=n):
        highest[max(drawn)] += size**-n
    exact = sum(p * math.log(p * size) for p in highest if p)
    assert exact <= kl_bound(n) + 1e-12
    assert exact == pytest.approx(kl_bound(n), abs=0.03)
