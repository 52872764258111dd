"""The middle of a language model trained with LoRA on a set of judged pairs: margins of held-out pairs."""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Iterable
from pathlib import Path

import numpy as np
from preference_sets import PreferenceSet

from rlhf.lm.configs import LoraRewardConfig
from rlhf.lm.data import Dataset, Judgment, Task
from rlhf.lm.reward_backbone import RewardBackbone
from rlhf.lm.reward_lora import train

CONFIG = LoraRewardConfig(
    layers=15,  # of thirty: what the frozen features are read from
    top_layers=3,
    pooling="mean+max",
    wording="chat",
    completion_tokens=256,
    probe_l2=1000.0,
    epochs=1,
    comparisons_per_step=16,
    learning_rate=2e-4,
    head_learning_rate=1e-5,
    centring=0.0,
    learn_reliability=False,
    standardise=False,
)


def trained(
    one: PreferenceSet,
    split: Iterable[tuple[np.ndarray, np.ndarray]],
    backbone: str,
    models: Path,
    config: LoraRewardConfig = CONFIG,
) -> np.ndarray:
    """Margins of each pair from a backbone that was trained on the other folds. Shape: (N,)."""
    made = RewardBackbone.fresh(dataclasses.replace(config, backbone=backbone), models)
    start = made.state()
    margins = np.zeros(len(one.pairs))
    # A task of its own for each pair, its texts in the order in which training sorts them: then what the
    # lower layers give of it serves every fold.
    texts = [sorted((pair.first, pair.second)) for pair in one.pairs]
    signs = np.array(
        [1 if pair.first == of_pair[0] else -1 for pair, of_pair in zip(one.pairs, texts, strict=True)]
    )
    for number, (_, test) in enumerate(split, start=1):
        held = set(test.tolist())
        tasks = [Task(id=str(n), text=pair.prompt, held_out=n in held) for n, pair in enumerate(one.pairs)]
        judgments = tuple(
            Judgment(
                str(n), str(n), "people", (pair.first, pair.second), (1, 2) if pair.outcome == 1 else (2, 1)
            )
            for n, pair in enumerate(one.pairs)
        )
        dataset = Dataset({task.id: task for task in tasks}, judgments)
        made.restore(start)
        for record in train(made.config, dataset=dataset, backbone=made):
            print(
                f"\r{one.name}: fold {number}, step {record.step} of {record.total}", end="", file=sys.stderr
            )
        scores = made.score([(tasks[n], text) for n in test for text in texts[n]], keep=True)
        margins[test] = (scores[::2] - scores[1::2]) * signs[test]
    print(file=sys.stderr)
    return margins
