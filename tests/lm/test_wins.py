"""Win rates: each task counts the same, and length is taken out as worked out by hand."""

import dataclasses
import math

import numpy as np
import pytest

from rlhf.lm.wins import (
    Match,
    length_controlled,
    logistic_at_zero,
    matches_between,
    rate_by_task,
    wins,
)


def two_lengths(*, longer: tuple[int, int], shorter: tuple[int, int], tasks: int = 10) -> list[Match]:
    """In each task, (won, lost) of the matches with the longer text, and with the shorter one."""
    matches = []
    for task in range(tasks):
        for (won, lost), difference in ((longer, 5.0), (shorter, -5.0)):
            matches += [Match(str(task), 1.0, difference)] * won + [Match(str(task), 0.0, difference)] * lost
    return matches


def test_a_task_with_many_matches_counts_as_much_as_one_with_few():
    matches = [Match("a", 1.0, 0.0)] * 9 + [Match("b", 0.0, 0.0)]
    assert rate_by_task(matches) == {"a": 1.0, "b": 0.0}
    assert wins(matches).rate.value == 0.5
    assert (wins(matches).matches, wins(matches).tasks) == (10, 2)
    assert wins([]) is None


def test_each_text_meets_each_of_its_task():
    old = [("a", 1.0, 10.0), ("a", 2.0, 12.0), ("b", 5.0, 9.0), ("c", None, 9.0)]
    new = [("a", 2.0, 11.0), ("b", None, 9.0), ("c", 1.0, 9.0)]
    assert matches_between(old, new) == [Match("a", 1.0, 1.0), Match("a", 0.5, -1.0)]


def test_length_is_taken_out_by_hand():
    """Odds 9 when longer and 1 when shorter: at equal length √(9·1) = 3, which is 75 %; raw it is 70 %."""
    found = wins(two_lengths(longer=(9, 1), shorter=(5, 5)))
    assert found.rate.value == pytest.approx(0.7)
    assert found.controlled.value == pytest.approx(0.75, abs=0.003)  # the ridge takes a little


def test_a_win_by_length_alone_is_none():
    """The longer one wins four of five, whoever wrote it; the new one's is longer in two thirds."""
    matches = two_lengths(longer=(8, 2), shorter=(1, 4))
    assert wins(matches).rate.value == pytest.approx(0.6)
    assert wins(matches).controlled.value == pytest.approx(0.5, abs=0.003)


def test_without_a_difference_in_length_both_are_the_same():
    matches = [Match(str(n), float(n % 4 > 0), 0.0) for n in range(40)]
    found = wins(matches)
    assert found.controlled.value == pytest.approx(found.rate.value, abs=0.003)
    assert found.controlled.low == pytest.approx(found.rate.low, abs=0.01)


def test_always_longer_by_the_same_tells_nothing_of_length():
    assert length_controlled([Match("a", 1.0, 3.0), Match("b", 0.0, 3.0)]) is None


def test_the_unit_of_length_does_not_matter():
    chance = np.random.default_rng(0)
    matches = [Match(str(n % 7), float(chance.random() < 0.6), float(chance.normal())) for n in range(60)]
    in_other = [dataclasses.replace(match, longer=1000 * match.longer) for match in matches]
    assert dataclasses.astuple(length_controlled(matches)) == pytest.approx(
        dataclasses.astuple(length_controlled(in_other))
    )


def test_who_always_wins_is_at_the_top_and_finite():
    found = length_controlled([Match(str(n), 1.0, float(n - 2)) for n in range(5)])
    assert 0.98 < found.value < 1 and math.isfinite(found.low)


def test_the_interval_comes_from_tasks_and_not_from_matches():
    """Ten copies of each match are no more evidence."""
    chance = np.random.default_rng(1)
    matches = [Match(str(n), float(chance.random() < 0.7), float(chance.normal())) for n in range(30)]
    once, ten = length_controlled(matches), length_controlled(matches * 10)
    assert dataclasses.astuple(once) == pytest.approx(dataclasses.astuple(ten))
    assert once.low < once.value < once.high


def test_the_slope_of_the_likelihood_is_zero_where_newton_ends():
    chance = np.random.default_rng(2)
    x, y = chance.normal(size=50), (chance.random(50) < 0.6).astype(float)
    weights = np.full((1, 50), 1 / 50)
    (p,) = logistic_at_zero(x, y, weights)

    def loss(alpha: float, phi: float) -> float:
        z = alpha + phi * x
        return float(np.mean(np.log1p(np.exp(z)) - y * z)) + 0.5e-3 * (alpha**2 + phi**2)

    grid = [(loss(a, f), a) for a in np.linspace(-2, 2, 401) for f in np.linspace(-2, 2, 81)]
    assert math.log(p / (1 - p)) == pytest.approx(min(grid)[1], abs=0.02)
