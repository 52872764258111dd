"""Weights laid out as oneDNN multiplies with them, for as long as nothing but reading goes on.

torch lays a linear layer's weight out anew in each call. For a decoding step, whose inputs are small, that is
a sixth of the time in bfloat16; in float32 torch does not call oneDNN at all, and MKL takes twice as long on
an AMD processor (docs/LOG.md). Packing takes as long as two decoding steps, and as much memory as the model.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn


@contextmanager
def packed_weights(model: nn.Module) -> Iterator[None]:
    """Let a model's plain linear layers on the CPU use packed weights. Nothing may be trained meanwhile."""
    layers = [module for module in model.modules() if type(module) is nn.Linear and _can(module.weight)]
    for layer in layers:
        weight = torch.ops.mkldnn._reorder_linear_weight(layer.weight.detach(), None)
        layer.forward = functools.partial(_linear, weight=weight, bias=layer.bias)  # type: ignore[method-assign]
    try:
        yield
    finally:
        for layer in layers:
            del layer.forward


def _can(weight: torch.Tensor) -> bool:
    available: Any = torch.backends.mkldnn.is_available
    if weight.device.type != "cpu" or not available():
        return False
    native: Any = torch.ops.mkldnn._is_mkldnn_bf16_supported
    return weight.dtype == torch.float32 or (weight.dtype == torch.bfloat16 and bool(native()))


def _linear(x: torch.Tensor, *, weight: torch.Tensor, bias: torch.Tensor | None) -> torch.Tensor:
    out: torch.Tensor = torch.ops.mkldnn._linear_pointwise(x, weight, bias, "none", [], "")
    return out
