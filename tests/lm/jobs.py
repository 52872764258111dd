"""A whole job in a folder: a tiny model, judged tasks, a reward model, and run.json."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch

from rlhf.lm.backbones import load_causal
from rlhf.lm.configs import RewardConfig
from rlhf.lm.data import Dataset, Example, Judgment, Task, snapshot_lines
from rlhf.lm.features import Features
from rlhf.lm.reward_model import fit
from tests.tiny import make_tiny_model

TASKS = [
    Task(
        id=str(n),
        text=f"Sort list {n}",
        examples=(Example(f"b a {n}", f"a b {n}"),),
        reference="Sort it.",
        held_out=n == 5,
    )
    for n in range(6)
]
JUDGMENTS = [
    Judgment(str(n), str(n), "ab"[n % 2], ("Sort the list.", "Do it now.", "Write a list"), (1, 2, 3))
    for n in range(6)
]
QUICK = {
    "steps": 2, "prompts_per_step": 2, "completions_per_prompt": 4, "max_new_tokens": 8,
    "learning_rate": 1e-2, "sample_tasks": 2, "kl_budget": 100.0, "entropy_floor": 0.0,
    "repetition": 1.0, "disagreement": 1000.0,
}  # fmt: skip
"""Of policy gradients."""


def make_job(folder: Path, *, config: dict[str, Any], output: str = "out", **more: Any) -> Path:
    """Write `output`.json; the models and the data are made once in a folder."""
    model, reward, data = folder / "model", folder / "reward", folder / "snapshot.jsonl"
    if not data.exists():
        make_tiny_model(model)
        data.write_text("".join(snapshot_lines(TASKS, JUDGMENTS)), encoding="utf-8")
        features = Features(load_causal(str(model), folder, torch.float32))
        dataset = Dataset({task.id: task for task in TASKS}, tuple(JUDGMENTS))
        heads = RewardConfig(heads=2, steps=10, bootstrap=100)
        list(fit(heads, dataset=dataset, features=features, folder=reward))
    path = folder / f"{output}.json"
    given = {
        "config": (QUICK if "algorithm" in config and config["algorithm"] not in ("sft", "dpo") else {})
        | config,
        "policy": str(model),
        "data": str(data),
        "reward": str(reward),
        "output": str(folder / output),
        "precision": "float32",
        "models": str(folder),
    }
    path.write_text(json.dumps({k: v for k, v in (given | more).items() if v is not None}), encoding="utf-8")
    return path
