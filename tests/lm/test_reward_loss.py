"""Each likelihood against numbers worked out by hand, and against those of others where they coincide."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from crowdkit.aggregation import NoisyBradleyTerry

from rlhf.lm.reward_loss import (
    bar_log_likelihood,
    graded_log_likelihood,
    order_log_likelihood,
    vote_log_likelihood,
)

SURE = 40.0  # log-odds of an annotator who always says what they mean


def log_odds(probability: float) -> float:
    return math.log(probability / (1 - probability))


def number(value: float) -> torch.Tensor:
    return torch.tensor(value, dtype=torch.double)


@pytest.mark.parametrize(
    ("margin", "reliability", "outcome", "probability"),
    [
        (log_odds(0.8), 0.9, 1.0, 0.9 * 0.8 + 0.1 * 0.2),  # 0.74
        (log_odds(0.8), 0.9, 0.0, 0.9 * 0.2 + 0.1 * 0.8),  # 0.26
        (log_odds(0.8), 0.5, 1.0, 0.5),  # a coin says nothing
        (log_odds(0.8), 0.1, 1.0, 0.1 * 0.8 + 0.9 * 0.2),  # who says the opposite
        (0.0, 0.9, 0.0, 0.5),
        (0.0, 0.9, 0.5, 0.5),
        (log_odds(0.8), 0.9, 0.5, math.sqrt(0.74 * 0.26)),  # a tie: half of each side
        (log_odds(0.8), 0.9, 0.75, 0.74**0.75 * 0.26**0.25),  # a soft target
    ],
)
def test_a_vote(margin: float, reliability: float, outcome: float, probability: float) -> None:
    found = vote_log_likelihood(number(margin), number(log_odds(reliability)), number(outcome))
    assert found.exp().item() == pytest.approx(probability)


def test_a_sure_vote_with_a_margin_is_the_loss_of_reward_modelling() -> None:
    # -log σ(s_chosen - s_rejected - margin), with 1.5 - 1 = log 3 - 0.5986: σ(log 3) = 3/4
    found = vote_log_likelihood(number(math.log(3) + 1), number(SURE), number(1.0), lift=1.0)
    assert -found.item() == pytest.approx(math.log(4 / 3))
    turned = vote_log_likelihood(number(-math.log(3) - 1), number(SURE), number(0.0), lift=1.0)
    assert turned.item() == pytest.approx(found.item())


def test_davidsons_ties() -> None:
    # d = 2 log 2 and ν = 1/2: 2, 1/2 and 1/2 of 3
    d, log_tie = number(2 * math.log(2)), number(math.log(0.5))
    said = [
        vote_log_likelihood(d, number(SURE), number(outcome), log_tie=log_tie).exp().item()
        for outcome in (1.0, 0.0, 0.5)
    ]
    assert said == pytest.approx([2 / 3, 1 / 6, 1 / 6])
    turned = vote_log_likelihood(d, number(log_odds(0.8)), number(1.0), log_tie=log_tie).exp().item()
    assert turned == pytest.approx(0.8 * 2 / 3 + 0.2 / 6)
    tied = vote_log_likelihood(d, number(log_odds(0.8)), number(0.5), log_tie=log_tie).exp().item()
    assert tied == pytest.approx(1 / 6)  # turned round, a tie is a tie


def test_without_ties_davidson_is_bradley_and_terry() -> None:
    d, trust, outcome = number(0.7), number(1.2), number(1.0)
    never = vote_log_likelihood(d, trust, outcome, log_tie=number(-50.0))
    assert never.item() == pytest.approx(vote_log_likelihood(d, trust, outcome).item())


def test_grades_by_hand() -> None:
    # d = 0 and cuts at log 1.5, log 3, log 9: σ(-cut) = 0.4, 0.25, 0.1
    cuts = torch.log(torch.tensor([1.5, 3.0, 9.0], dtype=torch.double))
    zero = number(0.0)
    said = {
        (outcome, strength): graded_log_likelihood(
            zero, number(SURE), number(outcome), number(strength), cuts
        )
        .exp()
        .item()
        for outcome, strength in [(1, 1), (1, 2), (1, 3), (1, 0), (0, 3), (0.5, 0)]
    }
    assert said == pytest.approx(
        {(1, 1): 0.15, (1, 2): 0.15, (1, 3): 0.1, (1, 0): 0.4, (0, 3): 0.1, (0.5, 0): 0.2}
    )


def test_grades_of_any_margin_and_annotator_sum_to_one() -> None:
    cuts = torch.tensor([0.3, 1.0, 2.0], dtype=torch.double)
    answers = [(side, strength) for side in (1.0, 0.0) for strength in (1.0, 2.0, 3.0)] + [(0.5, 0.0)]
    for margin in (-3.0, 0.0, 0.4, 7.0):
        total = sum(
            graded_log_likelihood(number(margin), number(log_odds(0.7)), number(side), number(strength), cuts)
            .exp()
            .item()
            for side, strength in answers
        )
        assert total == pytest.approx(1.0)


def test_an_order_by_hand() -> None:
    # Weights 4, 2, 1 in this order: 4/7 · 2/3; turned round (1/4, 1/2, 1): 1/7 · 1/3
    scores = torch.log(torch.tensor([[4.0, 2.0, 1.0]], dtype=torch.double))
    ranks = torch.tensor([[1, 2, 3]])
    sure = order_log_likelihood(scores, ranks, torch.tensor([SURE], dtype=torch.double))
    assert sure.exp().item() == pytest.approx(8 / 21)
    half = order_log_likelihood(scores, ranks, torch.tensor([log_odds(0.9)], dtype=torch.double))
    assert half.exp().item() == pytest.approx(0.9 * 8 / 21 + 0.1 / 21)


def test_ties_in_an_order_and_what_fills_up() -> None:
    # The first two tie: each is chosen from all three, 4/7 · 2/7. The fourth is not there.
    scores = torch.log(torch.tensor([[4.0, 2.0, 1.0, 9.0]], dtype=torch.double))
    tied = order_log_likelihood(scores, torch.tensor([[1, 1, 2, 0]]), torch.tensor([SURE]).double())
    assert tied.exp().item() == pytest.approx(8 / 49)
    last = order_log_likelihood(scores, torch.tensor([[1, 2, 2, 0]]), torch.tensor([SURE]).double())
    assert last.exp().item() == pytest.approx(4 / 7)


def test_an_order_of_two_is_a_vote() -> None:
    scores = torch.tensor([[0.2, -0.9], [0.2, -0.9]], dtype=torch.double)
    trust = torch.tensor([1.3, 1.3], dtype=torch.double)
    orders = order_log_likelihood(scores, torch.tensor([[1, 2], [2, 1]]), trust)
    votes = vote_log_likelihood(torch.full((2,), 1.1).double(), trust, torch.tensor([1.0, 0.0]).double())
    torch.testing.assert_close(orders, votes)


def test_all_bad_by_hand() -> None:
    # Good enough with 3/4 and 1/4: none is with 1/4 · 3/4 = 3/16. The third is not there.
    scores = torch.tensor([[math.log(3), -math.log(3), math.inf]], dtype=torch.double)
    bar, sure = torch.zeros(1, dtype=torch.double), torch.tensor([SURE], dtype=torch.double)
    bad = bar_log_likelihood(scores, bar, sure, torch.ones(1))
    good = bar_log_likelihood(scores, bar, sure, torch.zeros(1))
    assert bad.exp().item() == pytest.approx(3 / 16)
    assert good.exp().item() == pytest.approx(13 / 16)


def test_gradients_are_finite_far_out() -> None:
    margins = torch.tensor([-300.0, 0.0, 300.0], dtype=torch.double, requires_grad=True)
    scores = torch.stack([margins, -margins, margins * 0], 1)
    cuts = torch.tensor([1e-9, 1.0, 2.0], dtype=torch.double).reshape(3, 1)
    trust = torch.full((3,), 2.0, dtype=torch.double)
    ones = torch.ones(3, dtype=torch.double)
    total = (
        vote_log_likelihood(margins, trust, ones, log_tie=number(0.0)).sum()
        + graded_log_likelihood(margins, trust, 0.5 * ones, 0 * ones, cuts).sum()
        + graded_log_likelihood(margins, trust, ones, 3 * ones, cuts).sum()
        + order_log_likelihood(scores, torch.tensor([[1, 2, 0]] * 3), trust).sum()
        + bar_log_likelihood(scores, 0 * ones, trust, ones).sum()
        + bar_log_likelihood(scores, 0 * ones, trust, 0 * ones).sum()
    )
    total.backward()
    assert torch.isfinite(margins.grad).all()  # type: ignore[arg-type]


def test_crowd_kits_noisy_bradley_terry_is_the_same_where_the_careless_toss_a_coin() -> None:
    """There a vote is γ σ(d) + (1-γ)/2 with a bias of 0: that is ours with η = (1+γ)/2."""
    rng = np.random.default_rng(0)
    scores, skills = rng.normal(size=5), rng.normal(size=3)  # γ = σ(skill)
    left, right = rng.integers(5, size=40), rng.integers(5, size=40)
    right = np.where(left == right, (left + 1) % 5, right)
    workers, won = rng.integers(3, size=40), rng.random(40) < 0.5
    data = np.stack([left, right, np.where(won, left, right)], 1) + 1
    x = np.concatenate([[0.0], scores, np.zeros(3), skills])
    theirs = -NoisyBradleyTerry._compute_log_likelihood(x, data, workers, 5, 3, 0.0)
    eta = (1 + 1 / (1 + np.exp(-skills))) / 2
    ours = vote_log_likelihood(
        torch.from_numpy(scores[left] - scores[right]),
        torch.from_numpy(np.log(eta / (1 - eta))[workers]),
        torch.from_numpy(won.astype(float)),
    )
    assert ours.sum().item() == pytest.approx(theirs)
