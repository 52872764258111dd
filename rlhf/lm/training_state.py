"""What a training run resumes from: tensors and facts of the last finished step, whole or not there."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file

from rlhf.lm.backbones import CausalLM
from rlhf.lm.data import Record, Sample
from rlhf.lm.folders import new_folder


class ResumeMismatch(ValueError):
    """A folder holds the state of another run: going on would mix the two."""


@dataclass(frozen=True)
class TrainingState:
    """After `step`: the tensors, and facts in plain JSON (records so far among them)."""

    step: int
    tensors: dict[str, torch.Tensor]
    facts: dict[str, Any]


def run_identity(config: Any, lm: CausalLM) -> dict[str, Any]:
    """What must be the same for a policy run to go on, beside what it learns from.

    How often gold is measured need not be: that changes nothing of what is learned.
    """
    return {
        "config": {k: v for k, v in dataclasses.asdict(config).items() if k != "gold_every"},
        "weights_hash": lm.weights_hash,
        "template_hash": lm.template_hash,
    }


def hash_of(value: Any) -> str:
    """SHA-256 of plain JSON, whatever the order of its keys."""
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()


def save_state(
    folder: Path, *, step: int, tensors: Mapping[str, torch.Tensor], facts: Mapping[str, Any]
) -> None:
    """Save beside the older state, then remove that: a kill leaves one of them whole. Raises DiskFull."""
    target = folder / f"state-{step:06d}"
    with new_folder(target, replace=True) as aside:
        save_file(dict(tensors), aside / "state.safetensors")
        (aside / "state.json").write_text(json.dumps({"step": step, **facts}), encoding="utf-8")
    for other in _states(folder):
        if other != target:
            shutil.rmtree(other)


def load_state(folder: Path, *, identity: Mapping[str, Any]) -> TrainingState | None:
    """The newest state, or None. Raises ResumeMismatch where its `identity` is not the one given."""
    states = _states(folder)
    if not states:
        return None
    facts = json.loads((states[-1] / "state.json").read_text(encoding="utf-8"))
    check_identity(folder, here=identity, there=facts["identity"])
    return TrainingState(facts["step"], load_file(states[-1] / "state.safetensors"), facts)


def check_identity(folder: Path, *, here: Mapping[str, Any], there: Mapping[str, Any]) -> None:
    """Raises ResumeMismatch naming what differs between a run and the one that `folder` holds."""
    new, old = _flat(json.loads(json.dumps(here))), _flat(there)
    if different := sorted(key for key in new.keys() | old.keys() if new.get(key) != old.get(key)):
        changes = ", ".join(f"{key} was {old.get(key)!r}, is {new.get(key)!r}" for key in different)
        raise ResumeMismatch(f"{folder} holds the state of another run: {changes}")


def saved_step(folder: Path) -> int | None:
    """The step of the newest state, or None where there is none."""
    states = _states(folder)
    return int(states[-1].name.removeprefix("state-")) if states else None


def _states(folder: Path) -> list[Path]:
    return sorted(folder.glob("state-*"))


def _flat(values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in values.items():
        flat.update(_flat(value, f"{prefix}{key}.") if isinstance(value, dict) else {f"{prefix}{key}": value})
    return flat


def record_to_json(record: Record) -> dict[str, Any]:
    """As plain JSON."""
    return dataclasses.asdict(record)


def record_from_json(row: Mapping[str, Any]) -> Record:
    """Undo `record_to_json`."""
    return Record(**{**row, "samples": tuple(Sample(**sample) for sample in row["samples"])})


def with_prefix(prefix: str, tensors: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """The same tensors under `prefix/name`."""
    return {f"{prefix}/{name}": tensor for name, tensor in tensors.items()}


def under_prefix(prefix: str, tensors: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Undo `with_prefix`: those under the prefix."""
    start = f"{prefix}/"
    return {name.removeprefix(start): tensor for name, tensor in tensors.items() if name.startswith(start)}


def optimizer_tensors(optimizer: torch.optim.Optimizer) -> dict[str, torch.Tensor]:
    """The optimizer's state as named tensors, in the order of its parameters."""
    state = optimizer.state_dict()["state"]
    return {f"{i}/{key}": value.clone() for i, values in state.items() for key, value in values.items()}


def restore_optimizer(optimizer: torch.optim.Optimizer, tensors: Mapping[str, torch.Tensor]) -> None:
    """Undo `optimizer_tensors`."""
    state: dict[int, dict[str, torch.Tensor]] = {}
    for name, value in tensors.items():
        index, key = name.split("/")
        state.setdefault(int(index), {})[key] = value
    optimizer.load_state_dict({"state": state, "param_groups": optimizer.state_dict()["param_groups"]})


def spread(items: Sequence[Any], count: int) -> list[Any]:
    """Up to `count` of the items, evenly spread over their order."""
    count = min(count, len(items))
    return [items[i * len(items) // count] for i in range(count)]
