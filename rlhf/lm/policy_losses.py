"""Advantages and losses of policy gradients on groups of completions; each is a few lines, in no framework.

RLOO (Ahmadian et al. 2024, arXiv 2402.14740) takes a whole completion for one action. GRPO (Shao et al. 2024,
arXiv 2402.03300) and Dr. GRPO (Liu et al. 2025, arXiv 2503.20783) take each token for one.
"""

from __future__ import annotations

import torch

from rlhf.lm.tensors import PackedGroup, sum_by_owner

LEAST_STD = 1e-4  # added to a group's spread, so that equal rewards divide by something


def leave_one_out(rewards: torch.Tensor) -> torch.Tensor:
    """A_i = R_i - mean of the group's other rewards. Shape: (G,) -> (G,)."""
    return (rewards - rewards.mean()) * len(rewards) / (len(rewards) - 1)


def group_relative(rewards: torch.Tensor, *, scaled: bool) -> torch.Tensor:
    """A_i = R_i - mean of the group; `scaled` by its standard deviation as in GRPO. Shape: (G,) -> (G,).

    Scaling gives groups of nearly equal rewards as much weight as others: Dr. GRPO leaves it out.
    """
    centred = rewards - rewards.mean()
    return centred / (rewards.std() + LEAST_STD) if scaled else centred


def clipped_loss(
    logprobs: torch.Tensor, old_logprobs: torch.Tensor, advantages: torch.Tensor, clip_coef: float
) -> torch.Tensor:
    """PPO's clipped objective, negated, elementwise: an action is whatever has one log-probability here."""
    ratio = (logprobs - old_logprobs).exp()
    clipped = ratio.clamp(1 - clip_coef, 1 + clip_coef)
    return -torch.minimum(ratio * advantages, clipped * advantages)


def kl_estimate(logprobs: torch.Tensor, ref_logprobs: torch.Tensor) -> torch.Tensor:
    """KL(π ‖ π_ref) of sampled tokens, elementwise, unbiased and never negative (Schulman 2020, "k3")."""
    gap = ref_logprobs - logprobs
    return gap.exp() - gap - 1


def token_loss(
    logprobs: torch.Tensor,
    old_logprobs: torch.Tensor,
    ref_logprobs: torch.Tensor,
    advantages: torch.Tensor,
    group: PackedGroup,
    *,
    clip_coef: float,
    kl_coef: float,
    divisor: float | None,
) -> torch.Tensor:
    """GRPO's loss, summed over the completions. Shapes: (N,) three times, (G,) -> ().

    Each completion's tokens are averaged (GRPO) or, with a `divisor`, summed and divided by it (Dr. GRPO):
    by its own length a long wrong completion is punished less for each of its tokens than a short one.
    """
    owners = group.owners.to(logprobs.device)
    losses = clipped_loss(logprobs, old_logprobs, advantages[owners], clip_coef)
    losses = losses + kl_coef * kl_estimate(logprobs, ref_logprobs)
    sums = sum_by_owner(losses, group)  # (G,)
    lengths = torch.bincount(owners, minlength=group.completions)
    return (sums / (lengths if divisor is None else divisor)).sum()
