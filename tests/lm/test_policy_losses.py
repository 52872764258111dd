"""Advantages and losses of policy gradients, worked out by hand."""

from __future__ import annotations

import math

import pytest
import torch

from rlhf.lm.policy_losses import clipped_loss, group_relative, kl_estimate, leave_one_out, token_loss
from rlhf.lm.tensors import pack_group

PACKED = pack_group([5], [[6, 7], [8]])  # two tokens of the first completion, one of the second


def of_tokens(new: torch.Tensor, old: list[float], ref: list[float], **how: float | None) -> torch.Tensor:
    advantages = torch.tensor([1.0, -2.0])
    settings = {"clip_coef": 0.2, "kl_coef": 0.0, "divisor": None} | how
    return token_loss(new, torch.tensor(old), torch.tensor(ref), advantages, PACKED, **settings)  # type: ignore[arg-type]


def test_leave_one_out() -> None:
    # 1 against the mean of 2 and 6; 2 against that of 1 and 6; 6 against that of 1 and 2
    assert leave_one_out(torch.tensor([1.0, 2.0, 6.0])).tolist() == pytest.approx([-3.0, -1.5, 4.5])


def test_group_relative() -> None:
    rewards = torch.tensor([1.0, 2.0, 6.0])  # mean 3, deviations -2, -1, 3: variance 14/2
    assert group_relative(rewards, scaled=False).tolist() == [-2, -1, 3]
    scale = math.sqrt(7) + 1e-4
    expected = [-2 / scale, -1 / scale, 3 / scale]
    assert group_relative(rewards, scaled=True).tolist() == pytest.approx(expected)
    assert group_relative(torch.ones(3), scaled=True).tolist() == [0, 0, 0]


def test_the_clip_bounds_what_is_won_but_not_what_is_lost() -> None:
    old = torch.zeros(4)
    new = torch.log(torch.tensor([1.5, 1.5, 0.5, 0.5])).requires_grad_()
    loss = clipped_loss(new, old, torch.tensor([1.0, -1.0, 1.0, -1.0]), 0.2)
    # min(1.5, 1.2), min(-1.5, -1.2), min(0.5, 0.8), min(-0.5, -0.8), negated
    assert loss.tolist() == pytest.approx([-1.2, 1.5, -0.5, 0.8])
    loss.sum().backward()
    assert new.grad is not None
    assert new.grad.tolist() == pytest.approx([0.0, 1.5, -0.5, 0.0])


def test_the_estimate_of_kl() -> None:
    # The reference twice as likely: 2 - ln 2 - 1; half as likely: 1/2 + ln 2 - 1. Equal: nothing.
    found = kl_estimate(torch.zeros(3), torch.log(torch.tensor([2.0, 0.5, 1.0])))
    assert found.tolist() == pytest.approx([1 - math.log(2), math.log(2) - 0.5, 0.0])


def test_a_long_completion_counts_once_in_grpo_and_by_its_length_in_dr_grpo() -> None:
    new = torch.zeros(3)
    # Ratios are 1: each token loses its advantage: -1, -1 of the first, 2 of the second.
    assert of_tokens(new, [0, 0, 0], [0, 0, 0]).item() == pytest.approx(-1 + 2)
    assert of_tokens(new, [0, 0, 0], [0, 0, 0], divisor=4.0).item() == pytest.approx((-2 + 2) / 4)


def test_ratios_are_of_tokens_and_kl_is_added() -> None:
    new = torch.log(torch.tensor([1.5, 1.0, 1.5]))
    # First: (-1.2 clipped - 1) / 2; second: 2 * 1.5.
    assert of_tokens(new, [0, 0, 0], [0, 0, 0]).item() == pytest.approx(-1.1 + 3)
    with_kl = of_tokens(torch.zeros(3), [0, 0, 0], [math.log(2), 0, 0], kl_coef=0.5)
    assert with_kl.item() == pytest.approx(1 + 0.5 * (1 - math.log(2)) / 2)


def test_plain_gradients_are_those_of_reinforce() -> None:
    new = torch.tensor([-1.0, -2.0, -3.0], requires_grad=True)
    of_tokens(new, [-1, -2, -3], [0, 0, 0]).backward()
    assert new.grad is not None
    assert new.grad.tolist() == pytest.approx([-0.5, -0.5, 2.0])  # -A / length
