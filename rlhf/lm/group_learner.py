"""RLOO, GRPO and Dr. GRPO: a completion is better or worse than the others of its prompt. No value head.

The three differ in `advantages_of` and `loss`; the formulas are in policy_losses.py.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch

from rlhf.lm.configs import GRPO, RLOO, PolicyConfig
from rlhf.lm.policy_losses import clipped_loss, group_relative, leave_one_out, token_loss
from rlhf.lm.processes import ALONE, Processes
from rlhf.lm.rollouts import Measures, Rollout, measured, read, together
from rlhf.lm.tensors import sum_by_owner


@dataclass(frozen=True)
class Before:
    """Of a rollout when it was written: advantages (G,), log-probabilities of its tokens (N,)."""

    advantages: torch.Tensor
    logprobs: torch.Tensor
    ref_logprobs: torch.Tensor


class GroupLearner:
    """See rollouts.Learner. It has nothing of its own to train."""

    def __init__(self, config: PolicyConfig, processes: Processes = ALONE) -> None:
        self.config = config
        self.processes = processes
        self.before: dict[int, Before] = {}  # of each rollout that this process learns from, by its number

    def learn(
        self, model: Any, rollouts: Sequence[Rollout], *, epoch: int, completions: int
    ) -> list[Measures]:
        if epoch == 0:
            self.before = {}
        learn = partial(self.learn_part, model, epoch=epoch, completions=completions)
        return self.processes.over(list(enumerate(rollouts)), learn)

    def learn_part(
        self, model: Any, rollouts: Sequence[tuple[int, Rollout]], *, epoch: int, completions: int
    ) -> list[Measures]:
        """`learn` from some of the rollouts, numbered."""
        measures = []
        for some in together(rollouts, lambda numbered: numbered[1].packed):
            groups = [rollout.packed for _, rollout in some]
            losses = []
            found = read(model, groups, self.config.temperature, reference=epoch == 0)
            for (number, rollout), (_, figures) in zip(some, found, strict=True):
                if epoch == 0:
                    measures.append(measured(figures, rollout.packed))
                    self.before[number] = self.advantages_of(
                        rollout, figures.logprobs.detach(), figures.ref_logprobs
                    )
                if torch.is_grad_enabled():
                    losses.append(self.loss(rollout, figures.logprobs, self.before[number]))
            if losses:
                (torch.stack(losses).sum() / completions).backward()  # type: ignore[no-untyped-call]
        return measures

    def advantages_of(self, rollout: Rollout, logprobs: torch.Tensor, ref_logprobs: torch.Tensor) -> Before:
        """RLOO takes the KL penalty off the rewards; GRPO has it in the loss. Shapes: (N,), (N,)."""
        rewards = rollout.rewards.to(logprobs.device)
        if self.config.algorithm == RLOO:
            kl = sum_by_owner(logprobs - ref_logprobs, rollout.packed)  # (G,)
            advantages = leave_one_out(rewards - self.config.kl_coef * kl)
        else:
            advantages = group_relative(rewards, scaled=self.config.algorithm == GRPO)
        return Before(advantages, logprobs, ref_logprobs)

    def loss(self, rollout: Rollout, logprobs: torch.Tensor, before: Before) -> torch.Tensor:
        """Summed over the completions. Shapes: (N,) -> ()."""
        if self.config.algorithm == RLOO:
            new, old = (sum_by_owner(lps, rollout.packed) for lps in (logprobs, before.logprobs))
            return clipped_loss(new, old, before.advantages, self.config.clip_coef).sum()
        return token_loss(
            *(logprobs, before.logprobs, before.ref_logprobs, before.advantages, rollout.packed),
            clip_coef=self.config.clip_coef,
            kl_coef=self.config.kl_coef,
            divisor=None if self.config.algorithm == GRPO else self.config.max_new_tokens,
        )

    def figures(self) -> dict[str, float]:
        return {}

    def parameters(self) -> list[dict[str, Any]]:
        return []

    def tensors(self) -> dict[str, torch.Tensor]:
        return {}

    def restore(self, tensors: Mapping[str, torch.Tensor]) -> None:
        pass
