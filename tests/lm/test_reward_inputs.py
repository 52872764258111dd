"""What becomes of length: pairs weighed so that it tells nothing."""

from __future__ import annotations

import numpy as np

from rlhf.lm.reward_heads import PairArrays
from rlhf.lm.reward_inputs import balanced

LENGTHS = np.array([10.0, 20.0, 20.0])  # of rows 0, 1 and 2


def pairs(*outcomes: float, second: int = 1, weights: tuple[float, ...] = ()) -> PairArrays:
    """Row 0 against a longer one."""
    number = len(outcomes)
    zeros = np.zeros(number, np.int64)
    return PairArrays(
        zeros, zeros + second, np.array(outcomes), zeros, zeros, weights=np.array(weights, dtype=np.float64)
    )


def test_the_longer_one_wins_half_of_the_weight() -> None:
    # the longer one wins three of four: 4 / (2 * 3) each, and 4 / (2 * 1) where it loses
    np.testing.assert_allclose(balanced(pairs(0, 0, 0, 1), LENGTHS).weights, [2 / 3, 2 / 3, 2 / 3, 2])
    # weights of their own: 1 + 1 + 2 against 2, so 6 / 8 and 6 / 4 times what they were
    told = balanced(pairs(0, 0, 0, 1, weights=(1, 1, 2, 2)), LENGTHS).weights
    np.testing.assert_allclose(told, [0.75, 0.75, 1.5, 3])


def test_it_does_so_in_each_third_by_the_ratio_of_lengths() -> None:
    # rows of 1, 2, 4 and 8 times the first one's length (less one, for log1p): each three times against it
    lengths = np.array([9.0, 19.0, 39.0, 79.0])
    longer = np.repeat([1, 2, 3], 4)
    wins = np.array([1, 1, 0, 0, 1, 1, 1, 0, 1, 1, 1, 1])  # of the longer one: 2, 3 and 4 of 4
    zeros = np.zeros(12, np.int64)
    found = balanced(PairArrays(zeros, longer, 1.0 - wins, zeros, zeros), lengths).weights
    # over all alone: 9 of 12
    over_all = balanced(PairArrays(zeros, longer, 1.0 - wins, zeros, zeros), lengths, strata=1).weights
    np.testing.assert_allclose(over_all, np.where(wins == 1, 12 / 18, 12 / 6))
    # the last third has nothing to balance: then 8 of 12 are won, so 12/16 and 12/8 of what there is
    np.testing.assert_allclose(found, [3 / 4] * 2 + [3 / 2] * 2 + [1 / 2] * 3 + [3] + [3 / 4] * 4)
    assert balanced(PairArrays(zeros, longer, np.arange(12) % 2.0, zeros, zeros), lengths).weights.size == 0


def test_ties_equal_lengths_and_one_sided_pairs_stay_as_they_are() -> None:
    even = pairs(0, 1, 0.5)
    assert balanced(even, LENGTHS) is even
    one_sided = pairs(0, 0)
    assert balanced(one_sided, LENGTHS) is one_sided
    equal = PairArrays(*(np.array([n]) for n in (1, 2)), np.array([1.0]), *(np.zeros(1, np.int64),) * 2)
    assert balanced(equal, LENGTHS) is equal
