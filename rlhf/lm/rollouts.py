"""What a policy gradient learns from: its own completions with their rewards, and how they are read."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

import numpy as np
import torch

from rlhf.lm.configs import PolicyConfig, SamplingConfig
from rlhf.lm.data import Record, Task
from rlhf.lm.guards import repetition
from rlhf.lm.lora_linear import without_lora
from rlhf.lm.sampling import SampledCompletion
from rlhf.lm.tensors import PackedGroup, completion_states, sum_by_owner
from rlhf.lm.token_policy import TokenFigures, token_figures

Score = Callable[[list[tuple[Task, str]]], tuple[np.ndarray, np.ndarray]]
"""Mean and standard deviation over the reward model's heads, in units of its spread on training texts."""

Item = TypeVar("Item")

TOKENS = 1152  # prompts and completions read at once: fewer take longer, more take more memory

Measures = dict[str, torch.Tensor]
"""Of one rollout: `kl` (G,) of its completions to the reference, `entropy` (N,) of its tokens."""


@dataclass(frozen=True)
class Rollout:
    """One prompt's G completions and their rewards (G,), before any KL penalty."""

    packed: PackedGroup
    rewards: torch.Tensor

    @property
    def useful(self) -> bool:
        """Whether the rewards differ: where they are all equal there is nothing to learn from."""
        return float(self.rewards.max() - self.rewards.min()) > 1e-6


class Learner(Protocol):
    """An algorithm: it turns rollouts into a gradient. The loop around it is policy_gradient.py's."""

    def learn(
        self, model: Any, rollouts: Sequence[Rollout], *, epoch: int, completions: int
    ) -> list[Measures]:
        """Add an epoch's gradient, where gradients are on; give each rollout's measures in epoch 0.

        In epoch 0 the policy is still the one that wrote the rollouts. `completions` are those of the whole
        batch, with those of rollouts that are left out because their rewards are equal.
        """
        ...

    def figures(self) -> dict[str, float]:
        """What it says of the last batch, for the record."""
        ...

    def parameters(self) -> list[dict[str, Any]]:
        """What it trains besides the adapters, as groups of the optimizer."""
        ...

    def tensors(self) -> dict[str, torch.Tensor]:
        """What a killed run needs to go on."""
        ...

    def restore(self, tensors: Mapping[str, torch.Tensor]) -> None:
        """Undo `tensors`."""
        ...


def read(
    model: Any, groups: Sequence[PackedGroup], temperature: float, *, reference: bool
) -> list[tuple[torch.Tensor, TokenFigures]]:
    """Of each group's completion tokens: last hidden states (N, H), and figures.

    `reference` is the model with its adapters off.
    """
    ref_states = None
    if reference:
        with torch.no_grad(), without_lora(model):
            ref_states = completion_states(model, *groups)
    states = completion_states(model, *groups)
    targets, head = torch.cat([group.targets for group in groups]), model.get_output_embeddings()
    figures = token_figures(states, ref_states, targets.to(states.device), head, temperature=temperature)
    sizes = [len(group.targets) for group in groups]
    return list(zip(torch.split(states, sizes), figures.split(sizes), strict=True))


def together(rollouts: Sequence[Item], packed: Callable[[Item], PackedGroup]) -> Iterator[list[Item]]:
    """One after another as many as are read at once."""
    some: list[Item] = []
    for rollout in rollouts:
        if some and sum(len(packed(one).ids) for one in [*some, rollout]) > TOKENS:
            yield some
            some = []
        some.append(rollout)
    if some:
        yield some


def measured(figures: TokenFigures, packed: PackedGroup) -> Measures:
    """KL is Σ_t KL(π(·|s_t) ‖ π_ref(·|s_t)) along a completion.

    It has the same mean as log π/π_ref of the text, with less noise (arXiv 2504.10637).
    """
    return {"kl": sum_by_owner(figures.kl, packed).cpu(), "entropy": figures.entropy.cpu()}


def batch_of(tasks: Sequence[Task], step: int, config: PolicyConfig) -> list[Task]:
    """The tasks of a step: in shuffled order, round after round. Follows from seed and step alone."""
    size = min(config.prompts_per_step, len(tasks))
    batch: list[Task] = []
    for place in range(step * size, (step + 1) * size):
        epoch, at = divmod(place, len(tasks))
        task = tasks[np.random.default_rng([config.seed, epoch]).permutation(len(tasks))[at]]
        if task not in batch:  # at the seam of two epochs
            batch.append(task)
    return batch


def rollout_config(config: PolicyConfig, step: int) -> SamplingConfig:
    """Rollouts are drawn from the policy itself: temperature, but no cut."""
    return SamplingConfig(
        completions_per_task=config.completions_per_prompt,
        temperature=config.temperature,
        top_p=1.0,
        max_new_tokens=config.max_new_tokens,
        seed=config.seed * 100_003 + step,
    )


def summary(
    groups: Sequence[Sequence[SampledCompletion]],
    means: np.ndarray,
    stds: np.ndarray,
    rewards: torch.Tensor,
    useful: Sequence[Rollout],
    measures: Sequence[Measures],
    records: Sequence[Record],
) -> dict[str, float]:
    """The numbers of one step. Without a useful group KL and entropy are those of the step before."""
    completions = [completion for group in groups for completion in group]
    before = records[-1].values if records else {"kl": 0.0, "entropy": 0.0}
    return {
        "score": float(np.mean(means)),  # of the reward model
        "score_std": float(np.mean(stds)),  # its heads' disagreement
        "reward": float(rewards.mean()),  # pessimistic
        "reward_std": float(rewards.std(dim=1).mean()),  # within a group
        "kl": float(torch.cat([m["kl"] for m in measures]).mean()) if measures else before["kl"],
        "entropy": float(torch.cat([m["entropy"] for m in measures]).mean())
        if measures
        else before["entropy"],
        "length": float(np.mean([len(c.token_ids) for c in completions])),
        "finished": float(np.mean([c.finished for c in completions])),
        "repetition": repetition([c.text for c in completions]),
        "useful": len(useful) / len(groups),
    }
