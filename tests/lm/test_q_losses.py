"""ILQL's losses, by hand."""

from __future__ import annotations

import math

import pytest
import torch

from rlhf.lm.q_losses import conservative_loss, expectile_loss, td_targets

# Two texts, of three tokens and of one.
REWARDS = torch.tensor([0.0, 0.0, 2.0, -1.0])
VALUES = torch.tensor([0.1, 0.4, 0.8, 0.5])
LAST = torch.tensor([False, False, True, True])


def targets(gamma: float, td_lambda: float) -> list[float]:
    return td_targets(REWARDS, VALUES, LAST, gamma=gamma, td_lambda=td_lambda).tolist()


def test_a_target_is_the_reward_and_the_discounted_value_of_the_next_state() -> None:
    assert targets(0.5, 0.0) == pytest.approx([0.2, 0.4, 2.0, -1.0])


def test_with_lambda_one_it_is_the_discounted_return() -> None:
    assert targets(0.5, 1.0) == pytest.approx([0.5, 1.0, 2.0, -1.0])


def test_between_them_it_is_mixed() -> None:
    # 0.5 (0.25 * 0.8 + 0.75 * 2) = 0.85; 0.5 (0.25 * 0.4 + 0.75 * 0.85) = 0.36875
    assert targets(0.5, 0.75) == pytest.approx([0.36875, 0.85, 2.0, -1.0])


def test_an_expectile_weighs_what_lies_above_more() -> None:
    # (0.9 * 2² + 0.1 * 1²) / 2
    assert expectile_loss(torch.tensor([2.0, -1.0]), 0.9).item() == pytest.approx(1.85)


@pytest.mark.parametrize(("tau", "expected"), [(0.5, 1.0), (0.75, 1.5), (0.999, 1.998)])
def test_the_expectile_goes_from_the_mean_to_the_best(tau: float, expected: float) -> None:
    # Of 0 and 2: τ (2 - v) = (1 - τ) v, so v = 2τ.
    value = torch.tensor(expected, requires_grad=True)
    expectile_loss(torch.tensor([0.0, 2.0]) - value, tau).backward()  # type: ignore[no-untyped-call]
    assert value.grad is not None
    assert value.grad.item() == pytest.approx(0, abs=1e-6)


def test_what_was_not_seen_is_held_down() -> None:
    values = torch.log(torch.tensor([[1.0, 2.0, 5.0], [3.0, 3.0, 2.0]]))
    loss = conservative_loss(values, torch.tensor([1, 0]))
    assert loss.item() == pytest.approx((math.log(8 / 2) + math.log(8 / 3)) / 2)
