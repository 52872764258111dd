"""How often the new one wins: the win rate, and what it were if neither wrote longer. numpy alone.

Length-controlled as in AlpacaEval 2 (Dubois et al. 2024, arXiv 2404.04475): a logistic regression with the
difference in length as covariate, evaluated at no difference. Left out: their term for a task's difficulty,
since each task has the same texts of both sides here.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.special import expit

from rlhf.lm.metrics import Interval, bootstrap_mean, interval_of

Floats = npt.NDArray[np.float64]

RIDGE = 1e-3
"""Of the mean log-likelihood: keeps coefficients finite where one side always wins (it then says 99 %)."""
NEWTON_STEPS = 25
CHUNK = 250  # resamples fitted together


@dataclass(frozen=True)
class Match:
    """A text of the new model against one of the old's, for the same task."""

    task_id: str
    outcome: float
    """1 the new one's is better, 0 the old one's, one half for a tie."""
    longer: float
    """By how much the new one's is longer, in any unit."""


@dataclass(frozen=True)
class Wins:
    """Win rates of the new one over the old, over so many matches on so many tasks."""

    rate: Interval
    controlled: Interval | None
    """At equal length; None where the new one's text is always longer by the same."""
    matches: int
    tasks: int


Scored = tuple[str, float | None, float]
"""A text's task, its score (None: it has none) and its length."""


def matches_between(old: Iterable[Scored], new: Iterable[Scored]) -> list[Match]:
    """Every text of the new one against every one of the old's for the same task: the higher score wins.

    Not one against one: both write with the same random numbers, which makes many of those pairs equal.
    """
    by_task: dict[str, list[tuple[float, float]]] = defaultdict(list)
    for task_id, score, length in old:
        if score is not None:
            by_task[task_id].append((score, length))
    return [
        Match(task_id, 0.5 + 0.5 * float(np.sign(score - old_score)), length - old_length)
        for task_id, score, length in new
        if score is not None
        for old_score, old_length in by_task.get(task_id, ())
    ]


def wins(matches: Sequence[Match], *, resamples: int = 2000, seed: int = 0) -> Wins | None:
    """Both rates, each task counting the same; intervals by resampling tasks. None without a match."""
    if not matches:
        return None
    rates = [rate for _, rate in sorted(rate_by_task(matches).items())]
    return Wins(
        rate=bootstrap_mean(rates, resamples=resamples, seed=seed),
        controlled=length_controlled(matches, resamples=resamples, seed=seed),
        matches=len(matches),
        tasks=len(rates),
    )


def rate_by_task(matches: Iterable[Match]) -> dict[str, float]:
    """The mean outcome of each task's matches."""
    by_task: dict[str, list[float]] = defaultdict(list)
    for match in matches:
        by_task[match.task_id].append(match.outcome)
    return {task: float(np.mean(outcomes)) for task, outcomes in by_task.items()}


def length_controlled(matches: Sequence[Match], *, resamples: int = 2000, seed: int = 0) -> Interval | None:
    """σ(α) of P(win) = σ(α + φ·tanh(Δ / sd Δ)), where Δ is `longer`; the interval resamples tasks."""
    names = sorted({match.task_id for match in matches})
    task = np.array([names.index(match.task_id) for match in matches])
    outcomes = np.array([match.outcome for match in matches], dtype=np.float64)
    longer = np.array([match.longer for match in matches], dtype=np.float64)
    spread = float(longer.std())
    if spread == 0 and longer.any():
        return None
    covariate = np.tanh(longer / spread) if spread else np.zeros_like(longer)
    each = 1 / np.bincount(task)[task]  # (N,): a task's matches weigh as much as one
    counts = np.random.default_rng(seed).multinomial(
        len(names), np.full(len(names), 1 / len(names)), size=resamples
    )
    resampled = [
        logistic_at_zero(covariate, outcomes, counts[start : start + CHUNK][:, task] * each)
        for start in range(0, resamples, CHUNK)
    ]
    (value,) = logistic_at_zero(covariate, outcomes, each[None])
    return interval_of(float(value), np.concatenate(resampled))


def logistic_at_zero(covariate: Floats, outcomes: Floats, weights: Floats) -> Floats:
    """P(1 | covariate 0) by Newton's method, for each row of weights (R, N). Shape: (R,)."""
    weights = weights / weights.sum(axis=1, keepdims=True)
    alpha, phi = np.zeros(len(weights)), np.zeros(len(weights))
    for _ in range(NEWTON_STEPS):
        p = expit(alpha[:, None] + phi[:, None] * covariate)  # (R, N)
        missed = weights * (outcomes - p)
        slope_a, slope_f = missed.sum(1) - RIDGE * alpha, missed @ covariate - RIDGE * phi
        curved = weights * p * (1 - p)
        aa, af = curved.sum(1) + RIDGE, curved @ covariate
        ff = curved @ covariate**2 + RIDGE
        determinant = aa * ff - af**2
        # No step of more than two: from a flat start Newton can overshoot.
        alpha = alpha + np.clip((ff * slope_a - af * slope_f) / determinant, -2, 2)
        phi = phi + np.clip((aa * slope_f - af * slope_a) / determinant, -2, 2)
    found: Floats = expit(alpha)
    return found
