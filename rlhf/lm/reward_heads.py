"""Linear reward heads on fixed features, fitted to judged pairs with how reliable each annotator is.

The score of completion c is s_c = x_c·w + u_c. P(i above j, says a) = η_a σ(s_i - s_j) + (1-η_a) σ(s_j - s_i)
(Crowd-BT, Chen et al. 2013); a tie is half of each. u_c, what the features cannot say, keeps votes on the
same completions from counting as many findings about w, and tells a careless annotator from a hard pair.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch.nn.functional import logsigmoid

Floats = npt.NDArray[np.float64]

RELIABILITY_PRIOR = (9.0, 2.0)  # Beta: before any vote, η is most likely 8/9
RESIDUAL_L2 = 0.3  # u has a standard deviation of 1.8: people mostly tell two completions apart
STEPS_A_ROUND = 5


@dataclass(frozen=True)
class PairArrays:
    """Judged pairs as indices. All of length P but `outcomes`, which is 1, 0 or 0.5 for a tie."""

    first: npt.NDArray[np.int64]  # row of the features
    second: npt.NDArray[np.int64]
    outcomes: Floats
    annotators: npt.NDArray[np.int64]
    tasks: npt.NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.first)

    def take(self, chosen: npt.NDArray[np.bool_]) -> PairArrays:
        """The pairs where `chosen` is true."""
        return PairArrays(
            self.first[chosen],
            self.second[chosen],
            self.outcomes[chosen],
            self.annotators[chosen],
            self.tasks[chosen],
        )


@dataclass(frozen=True)
class Heads:
    """Fitted heads. Shapes: weights (K, D), reliability (K, A) in (0, 1); `loss` is the mean over pairs."""

    weights: Floats
    reliability: Floats
    loss: float


def vote_log_likelihood(
    margins: torch.Tensor, reliability: torch.Tensor, outcomes: torch.Tensor
) -> torch.Tensor:
    """log P(outcome) of votes, elementwise. `reliability` is log-odds; a tie (0.5) is half of each side."""
    trust, doubt = logsigmoid(reliability), logsigmoid(-reliability)
    first = torch.logaddexp(trust + logsigmoid(margins), doubt + logsigmoid(-margins))
    second = torch.logaddexp(trust + logsigmoid(-margins), doubt + logsigmoid(margins))
    return outcomes * first + (1 - outcomes) * second


def fit_heads(
    features: Floats,
    pairs: PairArrays,
    *,
    heads: int,
    l2: float,
    steps: int,
    seed: int,
    annotators: int | None = None,
) -> Iterator[Heads]:
    """Fit by L-BFGS; yields the heads after each few iterations, the last time when it ends.

    `features` is (C, D), standardised. Heads differ by a Bayesian bootstrap over tasks (Rubin 1981): each
    weighs the tasks anew. A single head weighs all alike. Raises ValueError without pairs.
    """
    if not len(pairs):
        raise ValueError("there are no judged pairs to fit")
    x = torch.from_numpy(features).double()  # (C, D)
    first, second = torch.from_numpy(pairs.first), torch.from_numpy(pairs.second)
    outcomes, who = torch.from_numpy(pairs.outcomes), torch.from_numpy(pairs.annotators)
    importance = torch.from_numpy(_task_weights(pairs.tasks, heads, seed))  # (K, P)
    a, b = RELIABILITY_PRIOR
    people = annotators if annotators is not None else int(pairs.annotators.max()) + 1

    weights = torch.zeros(heads, x.shape[1], dtype=torch.double, requires_grad=True)
    residuals = torch.zeros(heads, x.shape[0], dtype=torch.double, requires_grad=True)
    log_odds = torch.full((heads, people), float(np.log((a - 1) / (b - 1))), dtype=torch.double)
    log_odds.requires_grad_()
    optimiser = torch.optim.LBFGS(
        [weights, residuals, log_odds], max_iter=STEPS_A_ROUND, line_search_fn="strong_wolfe"
    )
    log_likelihood = torch.zeros(())

    def penalised_loss() -> float:
        nonlocal log_likelihood
        optimiser.zero_grad()
        scores = weights @ x.T + residuals  # (K, C)
        votes = vote_log_likelihood(scores[:, first] - scores[:, second], log_odds[:, who], outcomes)
        log_likelihood = (importance * votes).sum()
        prior = (a - 1) * logsigmoid(log_odds).sum() + (b - 1) * logsigmoid(-log_odds).sum()
        penalty = l2 / 2 * weights.square().sum() + RESIDUAL_L2 / 2 * residuals.square().sum()
        loss = penalty - prior - log_likelihood
        loss.backward()  # type: ignore[no-untyped-call]
        return float(loss.detach())

    with torch.enable_grad():
        for _ in range(max(1, steps // STEPS_A_ROUND)):
            optimiser.step(penalised_loss)  # type: ignore[no-untyped-call]
            yield Heads(
                weights.detach().numpy().copy(),
                log_odds.detach().sigmoid().numpy().copy(),
                loss=-float(log_likelihood.detach()) / float(importance.sum()),
            )


def last_heads(rounds: Iterator[Heads]) -> Heads:
    """The heads when fitting has ended."""
    *_, last = rounds
    return last


def fit_temperature(margins: Floats, outcomes: Floats) -> float:
    """T > 0 such that σ(margin / T) is the likeliest: calibration that changes no order (Guo et al. 2017)."""
    candidates = np.exp(np.linspace(np.log(0.05), np.log(50.0), 400))
    losses = [
        float(
            np.mean(outcomes * np.logaddexp(0, -margins / t) + (1 - outcomes) * np.logaddexp(0, margins / t))
        )
        for t in candidates
    ]
    return float(candidates[int(np.argmin(losses))])


def _task_weights(tasks: Sequence[int] | npt.NDArray[np.int64], heads: int, seed: int) -> Floats:
    """Each head's weight of each pair; those of a task move together. Shape: (heads, P), mean about 1."""
    if heads == 1:
        return np.ones((1, len(tasks)))
    numbers, index = np.unique(tasks, return_inverse=True)
    drawn = np.random.default_rng(seed).dirichlet(np.ones(len(numbers)), size=heads) * len(numbers)
    return np.asarray(drawn[:, index], dtype=np.float64)
