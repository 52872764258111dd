"""A transformer cut off after some layers, or in two: lower ones, which stay, and upper ones to train.

What the lower ones give is computed once and kept, so that training a few top layers costs only those.
All are views: they share every weight with the model that they were cut from.
"""

from __future__ import annotations

import copy
from typing import Any

import torch
from torch import nn


class CannotSplit(ValueError):
    """The model's layers were not found, or its halves do not give what the whole gives."""


class _Given(nn.Module):
    """In the place of an encoder's embeddings: hands on the hidden states that it is given."""

    def forward(
        self, input_ids: torch.Tensor | None = None, inputs_embeds: torch.Tensor | None = None, **_: Any
    ) -> torch.Tensor | None:
        return inputs_embeds


def layers_of(model: Any) -> nn.ModuleList:
    """The stack of layers of a decoder (`layers`) or of a BERT-like encoder (`encoder.layer`)."""
    stack = getattr(model, "layers", None)
    if stack is None:
        stack = getattr(getattr(model, "encoder", None), "layer", None)
    if not isinstance(stack, nn.ModuleList):
        raise CannotSplit(
            f"{type(model).__name__} has neither `layers` nor `encoder.layer`: use top_layers=0"
        )
    return stack


def lowest(model: Any, layers: int) -> Any:
    """The model up to that layer, whose states come as they are, without the norm after the last layer.

    Raises CannotSplit.
    """
    stack = layers_of(model)
    if not 0 < layers < len(stack):
        raise CannotSplit(f"layers is {layers}; the model has {len(stack)} layers")
    view = _with_layers(model, stack[:layers])
    if hasattr(model, "norm"):
        view.norm = nn.Identity()
    return view


def split(model: Any, top_layers: int) -> tuple[Any, Any]:
    """The lower part (up to the hidden states before the top layers) and the upper one (from there on).

    The lower is called like the model; the upper takes those states as `inputs_embeds`. Raises CannotSplit.
    """
    stack = layers_of(model)
    if not 0 < top_layers < len(stack):
        raise CannotSplit(f"top_layers is {top_layers}; the model has {len(stack)} layers")
    cut = len(stack) - top_layers
    lower, upper = _with_layers(model, stack[:cut]), _with_layers(model, stack[cut:])
    if hasattr(model, "layers"):
        lower.norm = nn.Identity()
    else:
        lower.pooler = None
        upper.embeddings = _Given()
    _check(model, lower, upper)
    return lower, upper


def _with_layers(model: Any, layers: nn.ModuleList) -> Any:
    """The same module around other layers; the original keeps its own."""
    view = _view(model)
    if hasattr(model, "layers"):
        view.layers = layers
    else:
        view.encoder = _view(model.encoder)
        view.encoder.layer = layers
    return view


def _view(module: Any) -> Any:
    view = copy.copy(module)
    view._modules = dict(module._modules)  # a copied module shares the very table of its parts
    return view


@torch.no_grad()
def _check(model: Any, lower: Any, upper: Any) -> None:
    """Some models scale what they are given as embeddings: those cannot be cut this way."""
    ids = torch.arange(1, 8, device=model.device)[None]
    mask = torch.ones_like(ids)
    whole = model(input_ids=ids, attention_mask=mask).last_hidden_state
    states = lower(input_ids=ids, attention_mask=mask).last_hidden_state
    halves = upper(inputs_embeds=states, attention_mask=mask).last_hidden_state
    if not torch.allclose(whole, halves, rtol=1e-2, atol=1e-2):
        raise CannotSplit(f"{type(model).__name__} in two halves gives other hidden states: use top_layers=0")
