"""The votes' likelihood is the one that `reward_loss` spells out, and so are its derivatives."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from rlhf.lm.reward_loss import graded_log_likelihood, vote_log_likelihood
from rlhf.lm.vote_likelihood import NODES, Ballots, VoteLikelihood, ballots

HEADS, PAIRS, PEOPLE, MARGIN = 3, 12, 4, 0.5
WAYS = [
    ("half", "ignored"),
    ("davidson", "ignored"),
    ("half", "margin"),
    ("davidson", "margin"),
    ("half", "graded"),
]


def some_votes(count: int, seed: int) -> tuple[np.ndarray, ...]:
    rng = np.random.default_rng(seed)
    return (
        rng.permutation(np.arange(count) % PAIRS),
        rng.integers(0, PEOPLE, count),
        rng.choice([0.0, 1.0, 0.5, 0.7], count),
        rng.integers(0, 4, count).astype(float),
        rng.random(count) + 0.5,
        rng.random((HEADS, PAIRS)),
    )


def parameters(seed: int, scale: float = 1.0) -> list[torch.Tensor]:
    """Means, spreads, log-odds, log ν and cuts."""
    drawn = torch.Generator().manual_seed(seed)
    shapes = [(HEADS, PAIRS), (HEADS,), (HEADS, PEOPLE), (HEADS,), (HEADS, 3)]
    means, spread, log_odds, log_tie, gaps = (
        torch.randn(shape, generator=drawn, dtype=torch.double) for shape in shapes
    )
    made = [means * 2 * scale, spread.exp() * scale, log_odds, log_tie, gaps.exp().cumsum(1)]
    return [tensor.requires_grad_() for tensor in made]


def read(votes: tuple[np.ndarray, ...], ties: str, strength: str) -> VoteLikelihood:
    said: Ballots = ballots(
        *votes,
        ties=strength == "graded" or ties == "davidson",
        margin=MARGIN if strength == "margin" else 0.0,
    )
    return VoteLikelihood(said)


def written_out(
    votes: tuple[np.ndarray, ...], given: list[torch.Tensor], ties: str, strength: str
) -> torch.Tensor:
    """The same by `reward_loss` and autograd, pair by pair."""
    pair, people, outcomes, strengths, weights, importance = map(torch.from_numpy, votes)
    means, spread, log_odds, log_tie, cuts = given
    nodes, masses = map(torch.from_numpy, np.polynomial.hermite_e.hermegauss(NODES))
    margins = means[:, pair].unsqueeze(-1) + spread[:, None, None] * nodes  # (K, V, Q)
    trust = log_odds[:, people].unsqueeze(-1)
    if strength == "graded":
        said = graded_log_likelihood(
            margins, trust, outcomes[:, None], strengths[:, None], cuts.T[:, :, None, None]
        )
    else:
        lift = MARGIN * (strengths - 1).clamp(min=0)[:, None] if strength == "margin" else 0.0
        nu = log_tie[:, None, None] if ties == "davidson" else None
        said = vote_log_likelihood(margins, trust, outcomes[:, None], lift=lift, log_tie=nu)
    total = torch.zeros((), dtype=torch.double)
    for number in range(PAIRS):
        theirs = pair == number
        of_pair = (said[:, theirs] * weights[theirs, None]).sum(1) + torch.log(masses / masses.sum())
        total = total + (importance[:, number] * torch.logsumexp(of_pair, 1)).sum()
    return total


def of(likelihood: VoteLikelihood, given: list[torch.Tensor], ties: str, strength: str) -> torch.Tensor:
    means, spread, log_odds, log_tie, cuts = given
    if strength == "graded":
        return likelihood.graded(means, spread, log_odds, cuts)
    return likelihood.chosen(means, spread, log_odds, log_tie if ties == "davidson" else None)


def slopes(total: torch.Tensor, given: list[torch.Tensor]) -> list[torch.Tensor]:
    found = torch.autograd.grad(total, given, allow_unused=True)
    return [
        torch.zeros_like(one) if slope is None else slope for one, slope in zip(given, found, strict=True)
    ]


@pytest.mark.parametrize(("ties", "strength"), WAYS)
@pytest.mark.parametrize("count", [PAIRS, 40], ids=["one vote a pair", "several"])
def test_it_is_the_likelihood_written_out(ties: str, strength: str, count: int) -> None:
    votes, given = some_votes(count, seed=count), parameters(seed=1)
    fast, slow = (
        of(read(votes, ties, strength), given, ties, strength),
        written_out(votes, given, ties, strength),
    )
    assert fast.item() == pytest.approx(slow.item(), rel=1e-12)
    for one, other in zip(slopes(fast, given), slopes(slow, given), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-9, atol=1e-11)


@pytest.mark.parametrize(("ties", "strength"), WAYS)
@pytest.mark.parametrize("scale", [1e3, 1e6, 1e12])
def test_far_out_it_is_still_a_number(ties: str, strength: str, scale: float) -> None:
    given = parameters(seed=2, scale=scale)
    given[3] = (given[3].detach() * scale).requires_grad_()
    total = of(read(some_votes(40, seed=3), ties, strength), given, ties, strength)
    assert torch.isfinite(total)
    assert all(torch.isfinite(slope).all() for slope in slopes(total, given))


def test_one_sure_vote_by_hand() -> None:
    # No spread: P = 0.9 * 0.8 + 0.1 * 0.2 = 0.74, weighed 2 by the vote and 3 by the head.
    one = (np.array([0]), np.array([0]), np.ones(1), np.zeros(1), np.array([2.0]), np.array([[3.0]]))
    likelihood = VoteLikelihood(ballots(*one, ties=False, margin=0.0))
    means = torch.tensor([[math.log(4)]], dtype=torch.double)
    trust = torch.tensor([[math.log(9)]], dtype=torch.double)
    found = likelihood.chosen(means, torch.zeros(1, dtype=torch.double), trust)
    assert found.item() == pytest.approx(6 * math.log(0.74))


def test_votes_on_a_pair_share_what_it_is() -> None:
    # Two nodes of a wide spread: two equal votes are likelier together than apart, two opposite ones less.
    def together(outcomes: list[float]) -> float:
        columns = (
            np.zeros(2, int),
            np.zeros(2, int),
            np.array(outcomes),
            np.zeros(2),
            np.ones(2),
            np.ones((1, 1)),
        )
        likelihood = VoteLikelihood(ballots(*columns, ties=False, margin=0.0))
        wide, sure = torch.full((1,), 5.0).double(), torch.full((1, 1), 9.0).double()
        return likelihood.chosen(torch.zeros(1, 1).double(), wide, sure).item()

    assert together([1, 1]) > 2 * math.log(0.5) > together([1, 0])
    assert together([1, 1]) == pytest.approx(together([0, 0]))
