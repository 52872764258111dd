"""A linear layer with LoRA that costs one large product each way instead of three and their sums.

W + scale·B·A is put together once for each state of the adapters. The backward pass never forms the
gradient of W: dB = scale · gᵀ(xAᵀ) and dA = scale · (gB)ᵀx are products with the rank.
"""

from __future__ import annotations

from typing import Any

import torch
from peft.tuners.lora import Linear
from torch import nn


class _WholeProduct(torch.autograd.Function):
    """x·(W + scale·B·A)ᵀ + bias, with gradients of x, A and B."""

    @staticmethod
    def forward(
        ctx: Any,
        x: torch.Tensor,
        whole: torch.Tensor,
        bias: torch.Tensor | None,
        a: torch.Tensor,
        b: torch.Tensor,
        scale: float,
    ) -> torch.Tensor:
        ctx.save_for_backward(x, whole, a, b)
        ctx.scale = scale
        return nn.functional.linear(x, whole, bias)

    @staticmethod
    def backward(ctx: Any, *gradients: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        x, whole, a, b = ctx.saved_tensors
        gradient = gradients[0].reshape(-1, whole.shape[0])  # (N, out)
        flat = x.reshape(-1, whole.shape[1])  # (N, in)
        dx = (gradient @ whole).view(x.shape) if ctx.needs_input_grad[0] else None
        da = ctx.scale * ((gradient @ b).T @ flat)  # (r, in)
        db = ctx.scale * (gradient.T @ (flat @ a.T))  # (out, r)
        return dx, None, None, da, db, None


class WholeLora(Linear):  # type: ignore[misc]
    """peft's layer, under the same names of weights, with that product where all is float32."""

    _seen: tuple[int, ...] = ()
    _whole: torch.Tensor

    def forward(self, x: torch.Tensor, *args: Any, **kwargs: Any) -> torch.Tensor:
        """As peft's, which is used for other precisions (bfloat16 would round small adapters away)."""
        weight = self.base_layer.weight
        if weight.dtype != torch.float32 or x.dtype != torch.float32 or self.disable_adapters or self.merged:
            return super().forward(x, *args, **kwargs)  # type: ignore[no-any-return]
        a, b = self.lora_A["default"].weight, self.lora_B["default"].weight
        scale = self.scaling["default"]
        out: torch.Tensor = _WholeProduct.apply(  # type: ignore[no-untyped-call]
            x, self._together(weight, a, b, scale), self.base_layer.bias, a, b, scale
        )
        return out

    @torch.no_grad()
    def _together(self, weight: torch.Tensor, a: torch.Tensor, b: torch.Tensor, scale: float) -> torch.Tensor:
        """W + scale·B·A, new when one of them was written to or moved."""
        seen = tuple(n for tensor in (weight, a, b) for n in (tensor._version, tensor.data_ptr()))
        if seen != self._seen:
            self._whole = torch.addmm(weight, b, a, alpha=scale)  # a new tensor: graphs may hold the old
            self._seen = seen
        return self._whole


def use_whole_products(trunk: nn.Module) -> None:
    """Let all of peft's plain LoRA layers in a model (one adapter, no dropout) compute this way."""
    for module in trunk.modules():
        if type(module) is Linear:
            module.__class__ = WholeLora
