"""What more rankings would bring: accuracy with an eighth, a quarter, half and all of the training tasks.

The forecast for twice as many is an extrapolation, accuracy(n) = a - b n^-c, and no measurement.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from rlhf.lm.metrics import Interval, interval_of, pair_credits
from rlhf.lm.reward_heads import PairArrays

Floats = npt.NDArray[np.float64]
Fit = Callable[[PairArrays], Floats]
"""Scores of all completions by a model that was fitted to these pairs."""

SHARES = (1 / 8, 1 / 4, 1 / 2, 1.0)
ORDERS = 3
"""Random orders of the tasks, each cut at every share: the parts of one order lie within each other."""
FEWEST_TASKS, FEWEST_HELD_OUT = 16, 4
"""Below, an eighth is less than two tasks, or too few are left to judge by."""
EXPONENTS = np.linspace(0.1, 1.0, 10)
"""c of the power law; four points cannot tell finer."""


@dataclass(frozen=True)
class CurvePoint:
    """Accuracy on held-out pairs of models trained on a share of the tasks."""

    share: float
    tasks: int
    rankings: int
    accuracy: Interval


@dataclass(frozen=True)
class LearningCurve:
    """Measured points, and a forecast for twice as many rankings on twice as many tasks."""

    points: tuple[CurvePoint, ...]
    forecast_rankings: int
    forecast: Interval
    forecast_gain: Interval
    """Over what was measured with all of them; the interval is that of the difference."""


def learning_curve(
    arrays: PairArrays,
    test: PairArrays,
    judgments: Sequence[str],
    fit: Fit,
    *,
    resamples: int = 1000,
    seed: int = 0,
) -> LearningCurve | None:
    """Fit to nested random parts of the tasks of `arrays`, judge on `test`; None where there is too little.

    `judgments` names the ranking that each pair of `arrays` comes from. Intervals resample the held-out
    tasks and the orders, alike for all points, since all are judged on the same pairs.
    """
    tasks, test_tasks = np.unique(arrays.tasks), np.unique(test.tasks)
    if len(tasks) < FEWEST_TASKS or len(test_tasks) < FEWEST_HELD_OUT:
        return None
    rng = np.random.default_rng(seed)
    orders = [rng.permutation(tasks) for _ in range(ORDERS)]
    ranking_of = np.unique(np.asarray(judgments), return_inverse=True)[1]
    points: list[CurvePoint] = []
    sizes: list[float] = []
    sums: list[Floats] = []
    counts = np.bincount(np.searchsorted(test_tasks, test.tasks), minlength=len(test_tasks))
    for share in SHARES:
        credits, rankings = [], []
        for order in orders if share < 1 else orders[:1]:
            inside = np.isin(arrays.tasks, order[: round(share * len(tasks))])
            part = arrays.take(inside)
            if not (part.outcomes != 0.5).any():
                return None  # a part of ties alone teaches nothing
            scores = fit(part)
            credits.append(pair_credits(scores[test.first] - scores[test.second], test.outcomes))
            rankings.append(len(np.unique(ranking_of[inside])))
        sizes.append(float(np.mean(rankings)))
        by_task = [np.bincount(np.searchsorted(test_tasks, test.tasks), weights=row) for row in credits]
        sums.append(np.array(by_task * (ORDERS // len(by_task)), dtype=np.float64))  # (ORDERS, G)
    means = np.array([part.sum() / (ORDERS * counts.sum()) for part in sums])
    drawn = _resampled(sums, counts, resamples, rng)
    for share, size, mean, column in zip(SHARES, sizes, means, drawn.T, strict=True):
        points.append(
            CurvePoint(share, round(share * len(tasks)), round(size), interval_of(float(mean), column))
        )
    forecast, forecasts = extrapolate(sizes, means[None])[0], extrapolate(sizes, drawn)
    return LearningCurve(
        points=tuple(points),
        forecast_rankings=round(2 * sizes[-1]),
        forecast=interval_of(float(forecast), forecasts),
        forecast_gain=interval_of(float(forecast - means[-1]), forecasts - drawn[:, -1]),
    )


def extrapolate(sizes: Sequence[float], accuracies: Floats) -> Floats:
    """What a - b n^-c, fitted by least squares, says of twice the last size. (R, points) -> (R,).

    c is the best of EXPONENTS for each row; b may be negative: a falling curve goes on falling.
    """
    n = np.asarray(sizes, dtype=np.float64)
    errors, forecasts = [], []
    for exponent in EXPONENTS:
        design = np.stack([np.ones_like(n), -((n / n[-1]) ** -exponent)], 1)  # (points, 2)
        fitted = accuracies @ np.linalg.pinv(design).T  # (R, 2)
        errors.append(((fitted @ design.T - accuracies) ** 2).sum(1))
        forecasts.append(fitted[:, 0] - fitted[:, 1] * 2.0**-exponent)
    best = np.argmin(errors, axis=0)
    found: Floats = np.clip(np.array(forecasts)[best, np.arange(len(accuracies))], 0, 1)
    return found


def _resampled(
    sums: Sequence[Floats], counts: npt.NDArray[np.int64], resamples: int, rng: np.random.Generator
) -> Floats:
    """Accuracies at every share under resampled held-out tasks and orders. Shape: (resamples, shares)."""
    groups = len(counts)
    tasks = rng.multinomial(groups, np.full(groups, 1 / groups), size=resamples).astype(np.float64)
    orders = rng.multinomial(ORDERS, np.full(ORDERS, 1 / ORDERS), size=resamples) / ORDERS
    pairs = tasks @ counts
    return np.stack([np.einsum("rs,sg,rg->r", orders, part, tasks) / pairs for part in sums], 1)
