"""The learning curve: the power law by hand, nested parts, too little data, and what is counted."""

from __future__ import annotations

import numpy as np
import pytest

from rlhf.lm import learning_curve as module
from rlhf.lm.learning_curve import ORDERS, extrapolate, learning_curve
from rlhf.lm.reward_heads import PairArrays


def pairs(tasks: int, votes: int = 2) -> PairArrays:
    """`votes` rankings of the pair (2t, 2t+1) of each task t; the first wins."""
    numbers = np.repeat(np.arange(tasks), votes)
    return PairArrays(
        first=2 * numbers,
        second=2 * numbers + 1,
        outcomes=np.ones(len(numbers)),
        annotators=np.zeros(len(numbers), dtype=np.int64),
        tasks=numbers,
    )


def names(arrays: PairArrays) -> list[str]:
    return [str(n) for n in range(len(arrays))]


def test_a_power_law_is_continued_exactly() -> None:
    # 0.8 - 0.4 n^-0.5 at 100, 400, 1600, 6400 is 0.76, 0.78, 0.79, 0.795; at 12800 it is 0.79646…
    found = extrapolate([100, 400, 1600, 6400], np.array([[0.76, 0.78, 0.79, 0.795]]))
    assert found[0] == pytest.approx(0.8 - 0.4 / 12800**0.5, abs=1e-9)


def test_a_flat_curve_stays_and_a_falling_one_goes_on_falling() -> None:
    flat, falling = extrapolate([1, 2, 4, 8], np.array([[0.6] * 4, [0.7, 0.68, 0.66, 0.64]]))
    assert flat == pytest.approx(0.6)
    assert falling < 0.64


def test_a_forecast_is_a_share() -> None:
    assert extrapolate([1, 2, 4, 8], np.array([[0.1, 0.4, 0.7, 1.0]]))[0] == 1.0


def test_the_parts_of_an_order_lie_within_each_other() -> None:
    seen: list[set[int]] = []
    train, test = pairs(16), pairs(4)

    def fit(part: PairArrays) -> np.ndarray:
        seen.append(set(part.tasks.tolist()))
        return np.arange(100.0)[::-1]

    curve = learning_curve(train, test, names(train), fit, resamples=50)
    assert curve is not None
    assert [len(tasks) for tasks in seen] == [2] * ORDERS + [4] * ORDERS + [8] * ORDERS + [16]
    for number in range(ORDERS):
        assert seen[number] < seen[ORDERS + number] < seen[2 * ORDERS + number]
    assert [(point.tasks, point.rankings) for point in curve.points] == [(2, 4), (4, 8), (8, 16), (16, 32)]
    assert curve.forecast_rankings == 64


def test_accuracy_is_the_mean_over_the_orders() -> None:
    """Of four held-out tasks a model knows as many as it has seen eighths of two tasks, at most three."""
    train, test = pairs(16), pairs(4)

    def fit(part: PairArrays) -> np.ndarray:
        known = {2: 1, 4: 2, 8: 3, 16: 3}[len(np.unique(part.tasks))]
        scores = np.zeros(100)
        scores[0 : 2 * known : 2] = 1  # the first of the pair wins
        scores[2 * known + 1 : 8 : 2] = 1
        return scores

    curve = learning_curve(train, test, names(train), fit, resamples=200)
    assert curve is not None
    assert [point.accuracy.value for point in curve.points] == [0.25, 0.5, 0.75, 0.75]
    for point in curve.points:
        assert 0 <= point.accuracy.low <= point.accuracy.value <= point.accuracy.high <= 1
    gain = curve.forecast_gain
    assert gain.value == pytest.approx(curve.forecast.value - 0.75)
    assert gain.low <= gain.value <= gain.high


@pytest.mark.parametrize(("train", "test"), [(15, 4), (16, 3), (0, 0)])
def test_too_little_gives_no_curve(train: int, test: int) -> None:
    arrays = pairs(train)
    assert learning_curve(arrays, pairs(test), names(arrays), lambda part: np.zeros(100)) is None


def test_a_part_of_ties_alone_gives_no_curve() -> None:
    train = pairs(16)
    train.outcomes[:] = 0.5
    assert learning_curve(train, pairs(4), names(train), lambda part: np.zeros(100)) is None


def test_the_same_seed_gives_the_same_curve() -> None:
    train, test = pairs(32), pairs(8)

    def fit(part: PairArrays) -> np.ndarray:
        return np.random.default_rng(len(part)).normal(size=100)

    found = [learning_curve(train, test, names(train), fit, resamples=50, seed=3) for _ in range(2)]
    assert found[0] == found[1]
    assert module.SHARES[-1] == 1.0
