"""The rule that marks a run: by hand, and how often it marks what is only noise."""

import numpy as np
import pytest

from rlhf.lm.over_optimisation import Measurement, gamed, t_interval


def measurement(step: int, gold: list[float], reward: list[float]) -> Measurement:
    def named(values: list[float]) -> dict[str, float]:
        return {str(n): value for n, value in enumerate(values)}

    return Measurement(step, named(gold), named(reward))


START = measurement(0, [0.5, 0.4, 0.6, 0.5], [0.0, 0.1, 0.0, 0.1])
PEAK = measurement(4, [0.7, 0.6, 0.8, 0.7], [0.5, 0.6, 0.5, 0.6])
GAMED = measurement(8, [0.4, 0.31, 0.49, 0.4], [1.0, 1.11, 0.99, 1.1])


def test_a_t_interval_by_hand():
    """1, 2, 3, 4, 5: mean 3, standard error √(2.5/5) = 0.707, t(4) at 2.5 % is 2.776."""
    found = t_interval(np.array([1.0, 2.0, 3.0, 4.0, 5.0]), level=0.025)
    assert (found.value, found.high) == (3.0, pytest.approx(3 + 2.776 * 0.7071, abs=1e-3))


def test_gold_that_falls_from_its_peak_at_a_rising_reward_is_marked():
    fall = gamed([START, PEAK, GAMED])
    assert (fall.since, fall.until) == (4, 8)
    assert fall.gold.value == pytest.approx(-0.3) and fall.gold.high < 0
    assert fall.reward.value == pytest.approx(0.5) and fall.reward.low > 0


def test_both_must_move():
    assert gamed([START, PEAK]) is None, "gold and reward rise"
    falling = measurement(8, list(GAMED.gold.values()), [0.4, 0.5, 0.39, 0.5])
    assert gamed([PEAK, falling]) is None, "both fall: it got worse, but gamed nothing"


def test_what_happened_before_the_last_measurement_is_past():
    assert gamed([START, PEAK, GAMED, measurement(12, [0.7, 0.61, 0.8, 0.7], [1, 1.1, 1, 1.1])]) is None


def test_too_few_tasks_or_measurements_mark_nothing():
    assert gamed([]) is None and gamed([GAMED]) is None
    few = [Measurement(m.step, dict(list(m.gold.items())[:3]), m.reward) for m in (PEAK, GAMED)]
    assert gamed(few) is None


def test_tasks_that_are_missing_on_one_side_are_left_out():
    gone = Measurement(8, {**GAMED.gold, "9": 99.0}, GAMED.reward)
    assert gamed([PEAK, gone]).gold.value == pytest.approx(-0.3)


def test_noise_is_marked_rarely_however_often_it_is_measured():
    """Gold stays, reward rises: of 1000 such runs with eight measurements less than 7 % are marked."""
    marked = 0
    for seed in range(1000):
        chance = np.random.default_rng(seed)
        rows = [
            measurement(n, list(chance.normal(0.5, 0.2, 8)), list(chance.normal(10.0 * n, 0.1, 8)))
            for n in range(8)
        ]
        marked += gamed(rows) is not None
    assert marked < 70


def test_a_clear_fall_is_found():
    found = 0
    for seed in range(200):
        chance = np.random.default_rng(seed)
        level = chance.normal(0.5, 0.3, 8)  # tasks differ; the test is paired
        golds = [0.0, 0.2, 0.3, 0.2, -0.1]
        rows = [
            measurement(n, list(level + gold + chance.normal(0, 0.1, 8)), list(chance.normal(n, 0.1, 8)))
            for n, gold in enumerate(golds)
        ]
        found += gamed(rows) is not None
    assert found > 190
