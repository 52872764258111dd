"""How bench/policy.py trains by each algorithm: the library's functions, and the settings found for them."""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from policy_data import MAX_NEW_TOKENS, Prepared

from rlhf.lm import dpo, policy_gradient, q_learning, sft
from rlhf.lm.backbones import CausalLM
from rlhf.lm.configs import POLICY_CONFIGS, DpoConfig, IlqlConfig, SftConfig
from rlhf.lm.data import Record, Task

Settings = dict[str, Any]
Trainer = Callable[[CausalLM, Prepared, Settings, Path], Iterator[Record]]


def policy_gradients(
    algorithm: str, base: CausalLM, prepared: Prepared, settings: Settings, folder: Path
) -> Iterator[Record]:
    """RLOO, GRPO, Dr. GRPO and PPO against the pessimistic reward."""

    def score(items: list[tuple[Task, str]]) -> tuple[np.ndarray, np.ndarray]:
        return prepared.reward.score(items)

    defaults = POLICY_CONFIGS[algorithm](
        algorithm=algorithm, max_new_tokens=MAX_NEW_TOKENS, save_every=8, sample_every=16
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


def token_values(base: CausalLM, prepared: Prepared, settings: Settings, folder: Path) -> Iterator[Record]:
    """ILQL on the ranked texts and samples of its own, against the pessimistic reward.

    How far it goes is chosen by gold on training tasks that it leaves aside.
    """
    config = dataclasses.replace(IlqlConfig(max_new_tokens=MAX_NEW_TOKENS), **settings)
    return q_learning.train(
        config,
        policy=base,
        dataset=prepared.dataset,
        score=prepared.keeping.score,  # the ranked texts were read before, as on the site
        executor=prepared.keeping.features.lm,
        folder=folder,
    )


TRAINERS: dict[str, Trainer] = {
    "sft": demonstrations,
    "rloo": lambda *given: policy_gradients("rloo", *given),
    "grpo": lambda *given: policy_gradients("grpo", *given),
    "ppo": lambda *given: policy_gradients("ppo", *given),
    "dpo": preferences,
    "ilql": token_values,
}


def train(
    algorithm: str, base: CausalLM, prepared: Prepared, settings: Settings, folder: Path
) -> list[Record]:
    """Train to the end, a line a record on stderr; leaves `folder/policy`."""
    records = []
    for record in TRAINERS[algorithm](base, prepared, settings, folder):
        records.append(record)
        shown = (
            *("reward", "kl", "length", "loss", "accuracy_train", "data_reward"),
            *("q_loss", "v_loss", "cql_loss", "fit_train", "fit_held_out", "beta", "seconds"),
        )
        figures = ", ".join(f"{n} {record.values[n]:.2f}" for n in shown if n in record.values)
        print(f"{algorithm} {record.step}/{record.total}: {figures} {record.note}", file=sys.stderr)
    return records
