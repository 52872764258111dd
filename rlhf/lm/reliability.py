"""How sure the reward model is of each annotator's η: sandwich intervals, clustered by task.

The scores are held where the heads put them; log σ, which the level of all η hangs on, is not.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from scipy import sparse
from scipy.special import expit, logit

from rlhf.lm.reward_heads import MARGIN, RELIABILITY_PRIOR, SPREAD_SD, Heads, PairArrays
from rlhf.lm.reward_loss import graded_log_likelihood, vote_log_likelihood
from rlhf.lm.vote_likelihood import NODES

Floats = npt.NDArray[np.float64]
Z = 1.96


@dataclass(frozen=True)
class Reliability:
    """An annotator's η with its 95 % interval, and how many of their training rankings it comes from."""

    annotator: str
    value: float
    low: float
    high: float
    rankings: int
    simulated: bool


def reliability_errors(
    fitted: Heads, scores: Floats, votes: PairArrays, *, ties: str, strength: str
) -> Floats:
    """Standard errors of every annotator's logit η, at the heads' means. Shape: (A,).

    The covariance is B (Σ g gᵀ + P) B with B = (H + P)^-1: H the observed information of the marginal
    likelihood, g a task's gradient, P the priors' curvature, which is all there is where nobody voted.
    """
    learned = fitted.reliability.mean(0)
    people = len(learned)
    unique, at, pair = votes.distinct()
    differences = scores[unique[:, 0]] - scores[unique[:, 1]]
    nodes, masses = np.polynomial.hermite_e.hermegauss(NODES)

    shape = (len(votes), NODES)
    trust = torch.from_numpy(logit(learned)[votes.annotators])[:, None].expand(shape).clone()
    spread = torch.full(shape, float(np.log(fitted.spread.mean())), dtype=torch.double)
    trust.requires_grad_()
    spread.requires_grad_()
    with torch.enable_grad():
        margins = torch.from_numpy(differences[pair])[:, None] + spread.exp() * torch.from_numpy(nodes)
        said = _said(fitted, margins, trust, votes, ties=ties, strength=strength)  # (P, Q), elementwise
        by_trust, by_spread = torch.autograd.grad(said.sum(), [trust, spread], create_graph=True)
        trust_trust, trust_spread = torch.autograd.grad(by_trust.sum(), [trust, spread], retain_graph=True)
        (spread_spread,) = torch.autograd.grad(by_spread.sum(), [spread])

    of_pair = np.zeros((len(unique), NODES))
    np.add.at(of_pair, pair, said.detach().numpy())
    of_pair += np.log(masses / masses.sum())
    weight = np.exp(of_pair - of_pair.max(1, keepdims=True))
    weight /= weight.sum(1, keepdims=True)  # (U, Q): where the pair's difference lies, given its votes

    first = np.stack([by_trust.detach().numpy(), by_spread.detach().numpy()])  # (2, P, Q)
    rows, columns = (
        np.concatenate([pair, pair]),
        np.concatenate([votes.annotators, np.full(len(pair), people)]),
    )
    information = np.zeros((people + 1, people + 1))
    gradient = sparse.csr_matrix((len(unique), people + 1))
    for node in range(NODES):
        of_node = sparse.csr_matrix(
            (first[:, :, node].reshape(-1), (rows, columns)), shape=(len(unique), people + 1)
        )
        weighted = of_node.multiply(weight[:, [node]]).tocsr()
        information -= (of_node.T @ weighted).toarray()
        gradient = gradient + weighted
    information += (gradient.T @ gradient).toarray()
    second = [
        (weight[pair] * part.numpy()).sum(1) for part in (trust_trust, trust_spread, spread_spread)
    ]  # each (P,)
    information[np.arange(people), np.arange(people)] -= np.bincount(votes.annotators, second[0], people)
    across = np.bincount(votes.annotators, second[1], people)
    information[:people, people] -= across
    information[people, :people] -= across
    information[people, people] -= second[2].sum()

    index = np.unique(votes.tasks[at], return_inverse=True)[1].reshape(-1)
    by_task = sparse.csr_matrix((np.ones(len(unique)), (index, np.arange(len(unique)))))
    clustered = by_task @ gradient
    prior = np.diag(np.append((sum(RELIABILITY_PRIOR) - 2) * learned * (1 - learned), SPREAD_SD**-2))
    bread = np.linalg.pinv(information + prior, hermitian=True)
    covariance = bread @ ((clustered.T @ clustered).toarray() + prior) @ bread
    errors: Floats = np.sqrt(np.clip(np.diag(covariance)[:people], 0, None))
    return errors


def reliabilities(
    fitted: Heads,
    errors: Floats,
    people: Sequence[str],
    rankings: dict[str, int],
    simulated: set[str],
) -> list[Reliability]:
    """Everybody who has given training rankings, the least reliable first; intervals on the logit scale."""
    learned = fitted.reliability.mean(0)
    found = [
        Reliability(
            annotator=name,
            value=float(value),
            low=float(expit(logit(value) - Z * error)),
            high=float(expit(logit(value) + Z * error)),
            rankings=rankings[name],
            simulated=name in simulated,
        )
        for name, value, error in zip(people, learned, errors, strict=True)
        if rankings.get(name)
    ]
    return sorted(found, key=lambda row: (row.value, row.annotator))


def _said(
    fitted: Heads,
    margins: torch.Tensor,
    trust: torch.Tensor,
    votes: PairArrays,
    *,
    ties: str,
    strength: str,
) -> torch.Tensor:
    """log P of each vote as the heads were fitted to read it, times its weight."""
    outcomes = torch.from_numpy(votes.outcomes)[:, None]
    weights = torch.from_numpy(votes.weights if len(votes.weights) else np.ones(len(votes)))[:, None]
    if strength == "graded" and votes.strengths.any():
        strengths = torch.from_numpy(votes.strengths)[:, None]
        cuts = torch.from_numpy(fitted.cuts.mean(0))[:, None, None]
        return graded_log_likelihood(margins, trust, outcomes, strengths, cuts) * weights
    lift: torch.Tensor | float = 0.0
    if strength == "margin":
        lift = MARGIN * (torch.from_numpy(votes.strengths) - 1).clamp(min=0)[:, None]
    has_ties = ties == "davidson" and bool((votes.outcomes == 0.5).any())
    log_tie = torch.tensor(float(fitted.log_tie.mean()), dtype=torch.double) if has_ties else None
    return vote_log_likelihood(margins, trust, outcomes, lift=lift, log_tie=log_tie) * weights
