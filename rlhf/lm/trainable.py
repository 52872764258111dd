"""Which weights of a transformer are learned: adapters on its linear layers, or the weights themselves."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import torch
from peft import LoraConfig, inject_adapter_in_model
from torch import nn

from rlhf.lm.configs import LoraRewardConfig
from rlhf.lm.layer_split import layers_of
from rlhf.lm.lora_linear import use_whole_products


def is_causal(folder: Path) -> bool:
    """Whether a model folder holds a causal language model, by its config."""
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    return any("CausalLM" in name for name in config.get("architectures") or ())


def make_trainable(trunk: Any, config: LoraRewardConfig) -> None:
    """Switch gradients on: of new adapters on all linear layers, or of the weights themselves."""
    names = {id(module): name for name, module in trunk.named_modules()}
    parts: Iterable[Any] = [trunk]
    if config.top_layers:
        parts = [layers_of(trunk)[-config.top_layers :], *_after_layers(trunk, config)]
    if config.training == "full":
        for part in parts:
            part.requires_grad_(True)
        return
    linear = [names[id(m)] for part in parts for m in part.modules() if isinstance(m, nn.Linear)]
    if config.pooling != "pooler":
        linear = [name for name in linear if not name.startswith("pooler")]
    lora = LoraConfig(r=config.lora_r, lora_alpha=config.lora_alpha, target_modules=linear)
    with torch.random.fork_rng():
        torch.manual_seed(config.seed)
        inject_adapter_in_model(lora, trunk)
    use_whole_products(trunk)
    for name, parameter in trunk.named_parameters():
        if "lora_" in name:
            parameter.data = parameter.data.float()


def _after_layers(trunk: Any, config: LoraRewardConfig) -> list[Any]:
    """What stands behind the last layer and is used."""
    found = [getattr(trunk, "norm", None)]
    if config.pooling == "pooler":
        found.append(trunk.pooler)
    return [part for part in found if part is not None]
