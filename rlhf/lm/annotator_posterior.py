"""What the votes say of each annotator's η when all else is unknown too: draws from the joint posterior.

A fit finds the likeliest weights, and they explain even the votes of somebody who tosses a coin as long as
there are few of them. Here weights and η are drawn in turn (Gibbs sampling; Albert and Chib 1993 for the
weights), so what the weights might be is averaged over. The model is that of the heads with two changes:
noise is normal, and what the features cannot say of a pair is part of each vote's noise. The prior of η has
room for people who are careless or answer the opposite.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
from scipy.special import expit, ndtr, ndtri

from rlhf.lm.reward_heads import RELIABILITY_PRIOR, SPREAD, PairArrays

Floats = npt.NDArray[np.float64]

ETAS: Floats = (np.arange(10) + 0.5) / 10
"""What η can be. The same turned round, which a change of sign needs."""
ANYTHING = 0.25
"""How many people η is uniform for. The others' is the heads' prior."""
NOISE = math.sqrt(SPREAD**2 + math.pi**2 / 3)
"""Standard deviation of a vote's noise in units of the heads' scores: the pair's own and the logistic one."""
TINY = 1e-9


def log_prior() -> Floats:
    """log P of each of `ETAS`. Shape: (G,)."""
    a, b = RELIABILITY_PRIOR
    careful = ETAS ** (a - 1) * (1 - ETAS) ** (b - 1)
    mixed: Floats = (1 - ANYTHING) * careful / careful.sum() + ANYTHING / len(ETAS)
    return np.asarray(np.log(mixed), dtype=np.float64)


def reliability_draws(
    features: Floats,
    votes: PairArrays,
    weights: Floats,
    *,
    l2: float,
    annotators: int,
    sweeps: int = 45,
    seed: int = 0,
) -> Floats:
    """Draws of everybody's η, together. Shape: (S, A).

    Chains start at the `weights` of fitted heads (K, D), one each; of every chain the first third is left
    out. `features` (C, D) and `l2` are as in the fit. Ties and soft votes, which say nothing or little about
    who gives them, are not looked at.
    """
    rng = np.random.default_rng(seed)
    votes = votes.take((votes.outcomes == 0) | (votes.outcomes == 1))
    said = 2 * votes.outcomes - 1
    x = features[votes.first] - features[votes.second]  # (N, D)
    precision = l2 * NOISE**2 * np.eye(features.shape[1]) + x.T @ x
    root = np.linalg.inv(np.linalg.cholesky(precision))  # its square, rootᵀ root, is the covariance
    mine = np.zeros((annotators, len(votes)))
    mine[votes.annotators, np.arange(len(votes))] = 1
    prior = log_prior()
    w = weights / NOISE
    found = []
    for sweep in range(sweeps):
        margins = w @ x.T  # (K, N)
        chances = np.clip(ndtr(margins * said), TINY, 1 - TINY)  # of each vote, were it meant
        of_votes = np.log(chances * ETAS[:, None, None] + (1 - chances) * (1 - ETAS[:, None, None]))
        likelihood = np.moveaxis(of_votes @ mine.T, 0, -1)  # (K, A, G)
        posterior = likelihood + prior
        # All signs changed, everybody who agrees would be one who answers the opposite: often another mode
        turned = likelihood[..., ::-1] + prior
        odds = (np.logaddexp.reduce(turned, -1) - np.logaddexp.reduce(posterior, -1)).sum(1)
        change = rng.random(len(w)) < expit(odds)
        posterior[change], margins[change] = turned[change], -margins[change]
        chances[change] = 1 - chances[change]
        share = np.exp(posterior - posterior.max(-1, keepdims=True)).cumsum(-1)
        below = (rng.random(share.shape[:2])[..., None] * share[..., -1:] > share).sum(-1)
        eta = ETAS[below]  # (K, A)
        if sweep >= sweeps // 3:
            found.append(eta)
        trust = eta[:, votes.annotators]
        meant = rng.random(chances.shape) < trust * chances / (trust * chances + (1 - trust) * (1 - chances))
        felt = margins + _noise(margins, np.where(meant, said, -said), rng)
        w = felt @ x @ root.T @ root + rng.normal(size=w.shape) @ root
    return np.concatenate(found)


def _noise(margins: Floats, sign: Floats, rng: np.random.Generator) -> Floats:
    """Normal noise that gives margin and noise together this sign."""
    least = ndtr(-margins * sign)
    drawn: Floats = sign * ndtri(np.clip(least + rng.random(margins.shape) * (1 - least), TINY, 1 - TINY))
    return drawn
