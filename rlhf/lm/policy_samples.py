"""What a policy in training writes. A copy of the model carries its adapters merged: so it decodes faster."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch

from rlhf.lm.backbones import CausalLM
from rlhf.lm.checkpoints import merge_adapters
from rlhf.lm.configs import SamplingConfig
from rlhf.lm.data import Sample, Task
from rlhf.lm.sampling import sample


def put_into(
    sampler: CausalLM,
    weights: Mapping[str, torch.Tensor],
    adapter: Mapping[str, torch.Tensor],
    scale: float,
) -> None:
    """Give the sampler the weights with the adapter merged in, at alpha / r."""
    merged = merge_adapters(weights, [(adapter, scale)])
    sampler.model.load_state_dict(merged, strict=False)


def write(sampler: CausalLM, tasks: Sequence[Task], *, max_new_tokens: int, seed: int) -> list[str]:
    """One text a task as people would be given it, always with the same random numbers."""
    if not tasks:
        return []
    reading = SamplingConfig(completions_per_task=1, max_new_tokens=max_new_tokens, seed=seed)
    texts = {group[0].task_id: group[0].text for group in sample(sampler, tasks, reading)}
    return [texts[task.id] for task in tasks]


def beside(tasks: Sequence[Task], texts: Sequence[str], references: Sequence[str]) -> tuple[Sample, ...]:
    """What was written for each task, with what the reference wrote for it."""
    return tuple(
        Sample(task.id, text, reference)
        for task, text, reference in zip(tasks, texts, references, strict=True)
    )
