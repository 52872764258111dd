"""How bench/policy.py trains by each algorithm: the library's functions, and the settings found for them."""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from policy_data import MAX_NEW_TOKENS, Prepared

from rlhf.lm import dpo, policy_gradient, sft
from rlhf.lm.backbones import CausalLM
from rlhf.lm.configs import DpoConfig, PolicyConfig, SftConfig
from rlhf.lm.data import Record, Task

Settings = dict[str, Any]
Trainer = Callable[[CausalLM, Prepared, Settings, Path], Iterator[Record]]


def policy_gradients(
    algorithm: str, base: CausalLM, prepared: Prepared, settings: Settings, folder: Path
) -> Iterator[Record]:
    """RLOO, GRPO and Dr. GRPO against the pessimistic reward."""

    def score(items: list[tuple[Task, str]]) -> tuple[np.ndarray, np.ndarray]:
        return prepared.reward.score(items)

    defaults = PolicyConfig(
        algorithm=algorithm, steps=48, max_new_tokens=MAX_NEW_TOKENS, save_every=8, sample_every=16
    )
    config = dataclasses.replace(defaults, **settings)
    return policy_gradient.train(
        config, policy=base, tasks=prepared.split.training, score=score, folder=folder
    )


def preferences(base: CausalLM, prepared: Prepared, settings: Settings, folder: Path) -> Iterator[Record]:
    """DPO on the simulated votes; an annotator is as reliable as the noise says."""
    config = dataclasses.replace(DpoConfig(), **settings)
    return dpo.train(config, policy=base, dataset=prepared.dataset, reliability={}, folder=folder)


def demonstrations(base: CausalLM, prepared: Prepared, settings: Settings, folder: Path) -> Iterator[Record]:
    """SFT on what people wrote for the training tasks."""
    config = dataclasses.replace(SftConfig(ranked=False), **settings)
    return sft.train(config, policy=base, dataset=prepared.dataset, folder=folder)


TRAINERS: dict[str, Trainer] = {
    "sft": demonstrations,
    "rloo": lambda *given: policy_gradients("rloo", *given),
    "grpo": lambda *given: policy_gradients("grpo", *given),
    "dpo": preferences,
}


def train(
    algorithm: str, base: CausalLM, prepared: Prepared, settings: Settings, folder: Path
) -> list[Record]:
    """Train to the end, a line a record on stderr; leaves `folder/policy`."""
    records = []
    for record in TRAINERS[algorithm](base, prepared, settings, folder):
        records.append(record)
        shown = ("reward", "kl", "length", "loss", "accuracy_train", "seconds")
        figures = ", ".join(f"{n} {record.values[n]:.2f}" for n in shown if n in record.values)
        print(f"{algorithm} {record.step}/{record.total}: {figures} {record.note}", file=sys.stderr)
    return records
