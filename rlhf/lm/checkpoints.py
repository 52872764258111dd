"""Checkpoint folders: a manifest that says what is inside, and for a policy its chain of LoRA adapters.

A policy checkpoint holds every adapter from the base up (`adapters/0`, `adapters/1` …), and the Q heads that
it decodes by, if any, so that it needs nothing but the base to be loaded. Safetensors only; each folder
appears whole or not at all.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from peft import LoraConfig, get_peft_model, get_peft_model_state_dict
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from rlhf.lm.backbones import CausalLM, UnknownModel, hash_files, load_causal
from rlhf.lm.folders import new_folder
from rlhf.lm.lora_linear import use_whole_products
from rlhf.lm.q_heads import QHeads, perturb, refuse_q_heads

POLICY_FOLDER = "policy"  # of what a training run leaves, inside the run's
MANIFEST = "manifest.json"
FORMAT = 1
ADAPTER = "adapter_model.safetensors"
Q_HEADS = "q_heads.safetensors"
PEFT_PREFIX = "base_model.model."  # what peft puts before the model's own names


class BadCheckpoint(ValueError):
    """A folder is no checkpoint, is damaged, or does not fit the model it is put on."""


class WrongKind(BadCheckpoint):
    """The checkpoint is of another kind than was asked for."""


def write_manifest(folder: Path, *, kind: str, **fields: Any) -> None:
    """Say in `folder` (one that `new_folder` gave) what the checkpoint is; fields are plain JSON."""
    text = json.dumps(
        {"format": FORMAT, "kind": kind, **fields}, indent=2, ensure_ascii=False, sort_keys=True
    )
    (folder / MANIFEST).write_text(text + "\n", encoding="utf-8")


def read_manifest(folder: Path, *, kind: str) -> dict[str, Any]:
    """The manifest of a checkpoint. Raises WrongKind if it is another kind, BadCheckpoint if it is none."""
    try:
        manifest: dict[str, Any] = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
        found = manifest["kind"]
    except FileNotFoundError as error:
        raise BadCheckpoint(f"{folder} is not a checkpoint: it has no {MANIFEST}") from error
    except (ValueError, KeyError, TypeError) as error:
        raise BadCheckpoint(f"{folder / MANIFEST} cannot be read: {error}") from error
    if manifest.get("format") != FORMAT:
        raise BadCheckpoint(f"{folder} has format {manifest.get('format')}; this version reads {FORMAT}")
    if found != kind:
        raise WrongKind(f"{folder} is a {found} checkpoint; a {kind} checkpoint is needed here")
    return manifest


def lora_config(*, lora_r: int, lora_alpha: int) -> LoraConfig:
    """An adapter on all linear layers of a language model, but for the one that gives logits."""
    return LoraConfig(r=lora_r, lora_alpha=lora_alpha, target_modules="all-linear", task_type="CAUSAL_LM")


def add_lora(model: Any, *, lora_r: int, lora_alpha: int, seed: int) -> Any:
    """The model with a new LoRA adapter on all linear layers; at the start it changes nothing (B = 0)."""
    config = lora_config(lora_r=lora_r, lora_alpha=lora_alpha)
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        peft_model = get_peft_model(model, config)
    if peft_model.device.type == "cpu":  # elsewhere peft's own, which know of weights that are spread
        use_whole_products(peft_model)
    return peft_model


def adapter_tensors(model: Any) -> dict[str, torch.Tensor]:
    """A copy of the trained tensors of a peft model, by peft's names."""
    tensors = get_peft_model_state_dict(model)
    return {name: tensor.detach().cpu().clone().contiguous() for name, tensor in sorted(tensors.items())}


def merge_adapters(
    weights: Mapping[str, torch.Tensor], adapters: Sequence[tuple[Mapping[str, torch.Tensor], float]]
) -> dict[str, torch.Tensor]:
    """W + Σ scale · B A for every layer that an adapter touches, in the order given, by parameter name.

    Each adapter is its tensors and its scale (alpha / r). Added up in float32 and rounded once, since
    bfloat16 would swallow small changes one by one. Raises BadCheckpoint if a tensor does not fit.
    """
    names = [name for tensors, _ in adapters for name in tensors]
    stems = dict.fromkeys(name.rsplit(".lora_", 1)[0] for name in names)
    merged = {}
    for stem in stems:
        target = f"{stem.removeprefix(PEFT_PREFIX)}.weight"
        try:
            total = weights[target].float()
            for tensors, scale in adapters:
                if f"{stem}.lora_A.weight" in tensors:
                    a, b = tensors[f"{stem}.lora_A.weight"], tensors[f"{stem}.lora_B.weight"]
                    total = torch.addmm(total, b.float(), a.float(), alpha=scale)
        except (KeyError, RuntimeError) as error:
            raise BadCheckpoint(f"the adapter does not fit the model at {target}: {error}") from error
        merged[target] = total.to(weights[target].dtype)
    return merged


def save_policy(
    folder: Path, lm: CausalLM, *, lora: LoraConfig, tensors: Mapping[str, torch.Tensor], **fields: Any
) -> Path:
    """Save a policy checkpoint: the chain of adapters that `lm` came with, then the new one.

    `fields` (config, seed, code version …) go into the manifest. Raises FileExistsError and DiskFull, and
    ValueError where `lm` decodes by Q heads.
    """
    refuse_q_heads(lm, "train")
    with new_folder(folder) as aside:
        adapters = _copy_chain(lm, aside)
        adapters.append(f"adapters/{len(adapters)}")
        new = aside / adapters[-1]
        new.mkdir(parents=True)
        lora.save_pretrained(str(new))
        save_file(dict(tensors), new / ADAPTER)
        _write_policy(aside, lm, adapters, **fields)
    return folder


def save_q_policy(folder: Path, lm: CausalLM, heads: QHeads, beta: float, **fields: Any) -> Path:
    """Save a policy that decodes by Q heads: the chain of adapters that `lm` came with, and the heads.

    `lm` is the policy without them. Otherwise as `save_policy`.
    """
    refuse_q_heads(lm, "train")
    with new_folder(folder) as aside:
        adapters = _copy_chain(lm, aside)
        save_file({name: tensor.contiguous() for name, tensor in heads.state_dict().items()}, aside / Q_HEADS)
        about = {"hash": hash_files([aside / Q_HEADS]), "beta": beta, "width": heads.width}
        _write_policy(aside, lm, adapters, q_heads=about, **fields)
    return folder


def _copy_chain(lm: CausalLM, aside: Path) -> list[str]:
    """Copy the adapters that the policy came with; gives their names."""
    if lm.checkpoint is None:
        return []
    names: list[str] = read_manifest(lm.checkpoint, kind="policy")["adapters"]
    for name in names:
        shutil.copytree(lm.checkpoint / name, aside / name)
    return names


def _write_policy(aside: Path, lm: CausalLM, adapters: list[str], **fields: Any) -> None:
    before = read_manifest(lm.checkpoint, kind="policy") if lm.checkpoint else None
    write_manifest(
        aside,
        kind="policy",
        base=before["base"] if before else lm.name,
        weights_hash=before["weights_hash"] if before else lm.weights_hash,
        template_hash=lm.template_hash,
        adapters=adapters,
        adapters_hash=hash_files([aside / name / ADAPTER for name in adapters]),
        parent=lm.checkpoint.name if lm.checkpoint else None,
        **fields,
    )


def leave_policy(
    run_folder: Path,
    lm: CausalLM,
    model: Any,
    config: Any,
    *,
    steps: int,
    stopped: str = "",
    code_version: str,
) -> None:
    """Save what a training run made of `lm`: `model` is it with the new adapter. What is there stays."""
    if not (run_folder / POLICY_FOLDER).exists():
        save_policy(
            run_folder / POLICY_FOLDER,
            lm,
            lora=model.peft_config["default"],
            tensors=adapter_tensors(model),
            config=dataclasses.asdict(config),
            seed=config.seed,
            steps=steps,
            stopped=stopped,
            code_version=code_version,
        )


def load_policy(folder: Path, models: Path, dtype: torch.dtype | None = None) -> CausalLM:
    """Load a policy: its base, with the adapters of its chain merged in order. Raises BadCheckpoint.

    Where it has Q heads they are part of its output layer. Its weights hash stands for all of this together.
    """
    manifest = read_manifest(folder, kind="policy")
    try:
        lm = load_causal(manifest["base"], models, dtype)
    except UnknownModel as error:
        raise BadCheckpoint(f"the base of {folder} is not there: {error}") from error
    for what in ("weights_hash", "template_hash"):
        if getattr(lm, what) != manifest[what]:
            raise BadCheckpoint(
                f"{folder} was trained on another {lm.name!r}: its {what} begins with {manifest[what][:12]}, "
                f"the one here with {getattr(lm, what)[:12]}"
            )
    try:
        found = hash_files([folder / name / ADAPTER for name in manifest["adapters"]])
    except FileNotFoundError as error:
        raise BadCheckpoint(f"{folder} is damaged: {error.filename} is missing") from error
    if found != manifest["adapters_hash"]:
        raise BadCheckpoint(f"{folder} is damaged: its adapters are not those of its {MANIFEST}")
    merged = merge_adapters(
        dict(lm.model.named_parameters()), [_read_adapter(folder / name) for name in manifest["adapters"]]
    )
    lm.model.load_state_dict(merged, strict=False)
    if about := manifest.get("q_heads"):
        _put_q_heads(lm, folder / Q_HEADS, about)
        found += f"{about['hash']}{about['beta']}"
    return dataclasses.replace(
        lm,
        checkpoint=folder,
        weights_hash=hashlib.sha256(f"{lm.weights_hash}{found}".encode()).hexdigest(),
    )


def _put_q_heads(lm: CausalLM, path: Path, about: Mapping[str, Any]) -> None:
    """Have the model decode by the heads of a file, if it is the one that its manifest means."""
    try:
        found = hash_files([path])
    except FileNotFoundError as error:
        raise BadCheckpoint(f"{path.parent} is damaged: {path} is missing") from error
    if found != about["hash"]:
        raise BadCheckpoint(f"{path.parent} is damaged: its Q heads are not those of its {MANIFEST}")
    heads = QHeads(lm.model.get_output_embeddings().weight, width=about["width"], seed=0)
    try:
        heads.load_state_dict(load_file(path))
    except (RuntimeError, SafetensorError) as error:
        raise BadCheckpoint(f"the Q heads {path} do not fit the model: {error}") from error
    perturb(lm.model, heads.requires_grad_(False), about["beta"])


def _read_adapter(folder: Path) -> tuple[dict[str, torch.Tensor], float]:
    try:
        config = json.loads((folder / "adapter_config.json").read_text(encoding="utf-8"))
        return load_file(folder / ADAPTER), config["lora_alpha"] / config["r"]
    except (OSError, SafetensorError, ValueError, KeyError) as error:
        raise BadCheckpoint(f"the adapter {folder} cannot be read: {error}") from error
