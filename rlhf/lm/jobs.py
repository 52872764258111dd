"""What a training script is told by its file (run.json): read whole, checked, and refused with reasons."""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, get_type_hints

import torch

from rlhf.lm.backbones import CausalLM, load_causal
from rlhf.lm.checkpoints import MANIFEST, BadCheckpoint, WrongKind, load_policy
from rlhf.lm.config_bounds import CHOICES, bounds_of
from rlhf.lm.configs import POLICY_CONFIGS
from rlhf.lm.data import Dataset, Task, read_dataset
from rlhf.lm.evaluation import Score
from rlhf.lm.reward_backbone import RewardBackbone
from rlhf.lm.reward_model import REPORT, RewardModel

PRECISIONS = {"auto": None, "bfloat16": torch.bfloat16, "float32": torch.float32}


class BadJob(ValueError):
    """The file cannot be read, or something in it does not fit; the message names it."""


@dataclass(frozen=True)
class Job:
    """One training: what is trained, on what, with which settings, and where the result goes.

    Folders and files are seen from where the command is started.
    """

    config: Any
    """Settings of the algorithm, those that differ from the defaults below."""
    data: Path
    """A snapshot, or JSON Lines of tasks: text, and optionally id, examples, reference, held_out …"""
    output: Path
    """The folder of the result; the same command goes on with what it finds there."""
    policy: str = "smollm2"
    """What is trained: an embedded model, a folder with safetensors, or a policy checkpoint's folder."""
    reward: Path | None = None
    """A reward checkpoint's folder. Policy gradients need one; DPO reads annotators' reliabilities in it."""
    precision: str = "auto"
    """Of the policy's weights: "bfloat16", "float32", or "auto": bfloat16 where the processor has it."""
    models: Path = Path("var/models")
    """Where the embedded models are made ready."""
    trl: Mapping[str, Any] = field(default_factory=dict)
    """With --engine trl: further settings of TRL's config, such as {"use_vllm": true}."""

    def load_policy(self) -> CausalLM:
        """The language model. Raises UnknownModel, BadCheckpoint."""
        dtype = PRECISIONS[self.precision]
        if (Path(self.policy) / MANIFEST).is_file():
            return load_policy(Path(self.policy), self.models, dtype)
        return load_causal(self.policy, self.models, dtype)

    def dataset(self) -> Dataset:
        """All tasks and judgments. Raises ValueError naming the line."""
        return read_dataset(self.data)

    def tasks(self) -> list[Task]:
        """Those that may be trained on."""
        return [task for task in self.dataset().tasks.values() if not task.held_out]

    def score(self) -> Score:
        """What the reward model says of texts. Raises BadCheckpoint."""
        if self.reward is None:
            raise BadJob("reward: a policy gradient needs the folder of a reward checkpoint")
        try:
            return RewardModel.load(self.reward, self.models).score
        except WrongKind:
            alone = RewardBackbone.load(self.reward, self.models)

        def score(items: list[tuple[Task, str]]) -> Any:
            found = alone.score(items)
            return found, found * 0.0  # one head never disagrees with itself

        return score

    def reliability(self) -> dict[str, float]:
        """Each annotator's η as the reward model learned it; nothing where none is named."""
        if self.reward is None:
            return {}
        try:
            report = json.loads((self.reward / REPORT).read_text(encoding="utf-8"))
            return {row["annotator"]: row["value"] for row in report["annotators"]}
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise BadCheckpoint(f"{self.reward / REPORT} does not give reliabilities: {error}") from error


def read_job(path: Path, kind: type) -> Job:
    """Read run.json for a training of this kind of config. Raises BadJob, saying all that is wrong."""
    try:
        given = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise BadJob(f"{path} cannot be read: {error}") from error
    if not isinstance(given, dict):
        raise BadJob(f"{path} must hold one object, with {', '.join(names_of(Job))}")
    wrong: list[str] = []
    values: dict[str, Any] = {"config": {}} | given
    if unknown := sorted(set(values) - set(names_of(Job))):
        wrong.append(f"there is no {', '.join(unknown)}; there are {', '.join(names_of(Job))}")
    for name in ("data", "output"):
        if name not in values:
            wrong.append(f"{name} is missing")
    for name in ("data", "output", "policy", "reward", "precision", "models"):
        if not isinstance(values.get(name, ""), str):
            wrong.append(f"{name} must be a text, not {json.dumps(values[name])}")
    for name in ("config", "trl"):
        if not isinstance(values.get(name, {}), dict):
            wrong.append(f"{name} must be an object, not {json.dumps(values[name])}")
    if values.get("precision", "auto") not in list(PRECISIONS):
        wrong.append(f"precision must be one of {', '.join(PRECISIONS)}")
    if wrong:
        raise BadJob(f"{path}: {'; '.join(wrong)}")
    values["config"], wrong = read_config(values["config"], kind)
    if getattr(values["config"], "gold_every", 0):
        wrong.append("config.gold_every must be 0: gold is measured along the runs of the site alone")
    values |= {name: Path(values[name]) for name in ("data", "output", "reward", "models") if name in values}
    if not values["data"].is_file():
        wrong.append(f"data: there is no file {values['data']}")
    if "reward" in values and not (values["reward"] / MANIFEST).is_file():
        wrong.append(f"reward: {values['reward']} is no checkpoint, it has no {MANIFEST}")
    if wrong:
        raise BadJob(f"{path}: {'; '.join(wrong)}")
    return Job(**values)


def read_config(given: Mapping[str, Any], kind: type) -> tuple[Any, list[str]]:
    """The config dataclass that `given` describes, and what is wrong with it (then there is no config)."""
    if "algorithm" in names_of(kind):
        names = [name for name, other in POLICY_CONFIGS.items() if issubclass(other, kind)]
        algorithm = given.get("algorithm", names[0])
        if algorithm not in names:
            return None, [f"config.algorithm must be one of {', '.join(names)}"]
        kind = POLICY_CONFIGS[algorithm]
    types = get_type_hints(kind)
    wrong = [
        f"there is no config.{name}; there are {', '.join(types)}" for name in given if name not in types
    ]
    for name, value in given.items():
        if name in types and (fault := _fault(name, types[name], value)):
            wrong.append(f"config.{name} {fault}")
    if wrong:
        return None, wrong
    return kind(**{name: types[name](value) for name, value in given.items()}), []


def names_of(kind: Any) -> list[str]:
    """The fields of a dataclass."""
    return [f.name for f in dataclasses.fields(kind)]


def _fault(name: str, kind: type, value: Any) -> str:
    """What is wrong with a field's value, or ""."""
    shown = json.dumps(value)
    if kind in (bool, str):
        if not isinstance(value, kind):
            return f"must be {'true or false' if kind is bool else 'a text'}, not {shown}"
        if name in CHOICES and value not in CHOICES[name]:
            return f"must be one of {', '.join(CHOICES[name])}, not {shown}"
        return ""
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        return f"must be a number, not {shown}"
    if kind is int and value != int(value):
        return f"must be a whole number, not {shown}"
    low, high = bounds_of(name)
    return "" if low <= value <= high else f"is {shown}; it must lie between {low:g} and {high:g}"
