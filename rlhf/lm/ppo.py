"""PPO with a value head: each token is an action, and is better or worse than the value head expected.

Schulman et al. 2017, arXiv 1707.06347; for language models as in InstructGPT, arXiv 2203.02155.
Left out: minibatches (an epoch is one update), an adaptive KL coefficient, a value model of its own.

The value head is linear on the policy's own last hidden states. By default its gradient ends there: with
the adapters shared, an error of the value would move the policy, and spend its KL budget, on telling how
good a text is and not on writing better ones. A second model, as InstructGPT has it, would double the work.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import torch
from torch import nn

from rlhf.lm.configs import PpoConfig
from rlhf.lm.policy_losses import clipped_loss
from rlhf.lm.processes import ALONE, Processes
from rlhf.lm.rollouts import Measures, Rollout, measured, read, together
from rlhf.lm.tensors import PackedGroup
from rlhf.lm.token_policy import TokenFigures


class ValueHead(nn.Module):
    """V(s) from a hidden state, in float32; before it has learned anything, 0.

    The state is brought to mean 0 and variance 1, so that one learning rate fits whichever model.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.linear = nn.Linear(width, 1)
        nn.init.zeros_(self.linear.weight)
        nn.init.zeros_(self.linear.bias)

    def forward(self, states: torch.Tensor) -> torch.Tensor:
        """Shape: (N, H) -> (N,)."""
        standardised = nn.functional.layer_norm(states.float(), states.shape[-1:])
        values: torch.Tensor = self.linear(standardised)[:, 0]
        return values


@dataclass(frozen=True)
class Before:
    """Of a rollout's N tokens, as the policy and the value head were when it was written; (N,) each."""

    logprobs: torch.Tensor
    values: torch.Tensor
    advantages: torch.Tensor
    returns: torch.Tensor

    def to(self, device: torch.device | str) -> Before:
        """The same on another device."""
        return Before(
            *(vars(self)[name].to(device) for name in ("logprobs", "values", "advantages", "returns"))
        )


class PpoLearner:
    """See rollouts.Learner. `width` is that of the policy's hidden states."""

    def __init__(
        self,
        config: PpoConfig,
        *,
        width: int,
        device: torch.device | str = "cpu",
        processes: Processes = ALONE,
    ) -> None:
        self.config = config
        self.processes = processes
        self.head = ValueHead(width).to(device)
        self.before: list[Before] = []  # of each rollout
        self.said: dict[str, float] = {}

    def learn(
        self, model: Any, rollouts: Sequence[Rollout], *, epoch: int, completions: int
    ) -> list[Measures]:
        """The losses are means over the tokens of `rollouts`, which are those whose rewards differ."""
        measures: list[Measures] = []
        if epoch == 0:
            measures = self.look(model, rollouts)
        if not torch.is_grad_enabled() or not rollouts:
            return measures
        tokens = sum(len(before.logprobs) for before in self.before)
        known = list(zip(rollouts, self.before, strict=True))
        outside = self.processes.over(known, partial(self.descend, model, tokens=tokens))
        self.said["clip_fraction"] = sum(outside) / tokens
        return measures

    def descend(self, model: Any, known: Sequence[tuple[Rollout, Before]], *, tokens: int) -> Iterator[int]:
        """Add the gradient of some of the rollouts; give how many tokens of each lie outside the clip."""
        for some in together(known, lambda pair: pair[0].packed):
            losses = []
            groups = [rollout.packed for rollout, _ in some]
            made = read(model, groups, self.config.temperature, reference=False)
            for (_, before), (states, found) in zip(some, made, strict=True):
                chosen = found.logprobs
                values = self.head(states if self.config.shared_trunk else states.detach())
                before = before.to(chosen.device)
                losses.append(self.loss(chosen, values, before))
                ratio = (chosen.detach() - before.logprobs).exp()
                yield int(((ratio - 1).abs() > self.config.clip_coef).sum())
            (torch.stack(losses).sum() / tokens).backward()  # type: ignore[no-untyped-call]

    def loss(self, logprobs: torch.Tensor, values: torch.Tensor, before: Before) -> torch.Tensor:
        """Of policy and value together, summed over the tokens. Shapes: (N,), (N,) -> ()."""
        policy = clipped_loss(logprobs, before.logprobs, before.advantages, self.config.clip_coef)
        value = value_loss(values, before.values, before.returns, self.config.value_clip)
        return (policy + self.config.value_coef * value).sum()

    @torch.no_grad()
    def look(self, model: Any, rollouts: Sequence[Rollout]) -> list[Measures]:
        """Before the first update: what was expected of each token, and how much better it was."""
        looked = self.processes.over(rollouts, partial(self.look_part, model))
        self.before, self.said = [before for _, before in looked], {}
        if self.before:
            values, returns = (
                torch.cat([getattr(b, name) for b in self.before]) for name in ("values", "returns")
            )
            self.said = value_figures(values, returns)
            if self.config.whiten:
                self.before = whitened(self.before)
        return [measures for measures, _ in looked]

    def look_part(self, model: Any, rollouts: Sequence[Rollout]) -> Iterator[tuple[Measures, Before]]:
        """`look` at some of the rollouts."""
        for some in together(rollouts, lambda rollout: rollout.packed):
            groups = [rollout.packed for rollout in some]
            made = read(model, groups, self.config.temperature, reference=True)
            for rollout, (states, found) in zip(some, made, strict=True):
                before = self.before_of(rollout, found, self.head(states))
                yield measured(found, rollout.packed), before.to("cpu")  # as other processes can read it

    def before_of(self, rollout: Rollout, found: TokenFigures, values: torch.Tensor) -> Before:
        """What the rewards and the values (N,) say of each token."""
        packed = rollout.packed
        rewards = token_rewards(
            rollout.rewards.to(values.device),
            *(found.logprobs, found.ref_logprobs, packed),
            kl_coef=self.config.kl_coef,
        )
        advantages = generalised_advantages(
            rewards, values, packed, gamma=self.config.gamma, gae_lambda=self.config.gae_lambda
        )
        return Before(found.logprobs, values, advantages, advantages + values)

    def figures(self) -> dict[str, float]:
        return self.said

    def parameters(self) -> list[dict[str, Any]]:
        return [{"params": list(self.head.parameters()), "lr": self.config.value_learning_rate}]

    def tensors(self) -> dict[str, torch.Tensor]:
        return {name: tensor.cpu().clone() for name, tensor in self.head.state_dict().items()}

    def restore(self, tensors: Mapping[str, torch.Tensor]) -> None:
        self.head.load_state_dict(dict(tensors))


def token_rewards(
    rewards: torch.Tensor,
    logprobs: torch.Tensor,
    ref_logprobs: torch.Tensor,
    packed: PackedGroup,
    *,
    kl_coef: float,
) -> torch.Tensor:
    """r_t = −β · log π/π_ref(a_t), and the completion's reward on its last token.

    The last token is where the completion ended or was cut: in both cases nothing comes after it.
    Shapes: (G,), (N,), (N,) -> (N,).
    """
    per_token = -kl_coef * (logprobs - ref_logprobs)
    ends = torch.bincount(packed.owners, minlength=packed.completions).cumsum(0) - 1  # (G,)
    return per_token.index_add(0, ends.to(per_token.device), rewards)


def generalised_advantages(
    rewards: torch.Tensor, values: torch.Tensor, packed: PackedGroup, *, gamma: float, gae_lambda: float
) -> torch.Tensor:
    """A_t = δ_t + γλ · A_{t+1}, δ_t = r_t + γ V(s_{t+1}) − V(s_t), within each completion.

    Schulman et al. 2016, arXiv 1506.02438, eq. 16; after a completion's last token V and A are 0.
    Shapes: (N,), (N,) -> (N,).
    """
    advantages = torch.zeros_like(rewards)
    owners = packed.owners.tolist()
    for t in range(len(owners) - 1, -1, -1):
        last = t == len(owners) - 1 or owners[t + 1] != owners[t]
        value_after, advantage_after = (0.0, 0.0) if last else (values[t + 1], advantages[t + 1])
        delta = rewards[t] + gamma * value_after - values[t]
        advantages[t] = delta + gamma * gae_lambda * advantage_after
    return advantages


def whitened(batch: Sequence[Before]) -> list[Before]:
    """The same with advantages of mean 0 and variance 1 over all tokens of the batch."""
    advantages = torch.cat([before.advantages for before in batch])
    mean, std = advantages.mean(), advantages.std(correction=0)
    return [replace(before, advantages=(before.advantages - mean) / (std + 1e-8)) for before in batch]


def value_loss(
    values: torch.Tensor, old_values: torch.Tensor, returns: torch.Tensor, value_clip: float
) -> torch.Tensor:
    """Half the squared error, or that of the value kept within `value_clip` of the old one if it is greater.

    Elementwise. From OpenAI's baselines (ppo2): a value gone that far towards its return stops there.
    """
    kept = old_values + (values - old_values).clamp(-value_clip, value_clip)
    return 0.5 * torch.maximum((values - returns).square(), (kept - returns).square())


def value_figures(values: torch.Tensor, returns: torch.Tensor) -> dict[str, float]:
    """Half the mean squared error, and the part of the returns' variance that the values explain."""
    error = returns - values
    spread = float(returns.var(correction=0))
    explained = 1 - float(error.var(correction=0)) / spread if spread > 0 else 0.0
    return {"value_loss": 0.5 * float(error.square().mean()), "explained_variance": explained}
