"""A linear layer with LoRA that costs little more than the layer without it, each way.

In float32 W + scale·B·A is put together once for each state of the adapters. In bfloat16 that sum would round
small adapters away: there B·(A·x) is added to W·x in place, in the layer's own precision. The backward pass
never forms the gradient of W: dB = scale · gᵀ(xAᵀ) and dA = scale · (gB)ᵀx are products with the rank.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from peft.tuners.lora import Linear, LoraLayer
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


class _ThinProducts(torch.autograd.Function):
    """x·Wᵀ + bias + scale·(x·Aᵀ)·Bᵀ in the precision of x and W, with gradients of x, A and B."""

    @staticmethod
    def forward(
        ctx: Any,
        x: torch.Tensor,
        weight: torch.Tensor,
        bias: torch.Tensor | None,
        a: torch.Tensor,
        b: torch.Tensor,
        scale: float,
    ) -> torch.Tensor:
        flat = x.reshape(-1, weight.shape[1])  # (N, in)
        a, b = a.to(x.dtype), (scale * b).to(x.dtype)
        low = flat @ a.T  # (N, r)
        ctx.save_for_backward(flat, low, weight, a, b)
        ctx.scale = scale
        return nn.functional.linear(flat, weight, bias).addmm_(low, b.T).view(*x.shape[:-1], -1)

    @staticmethod
    def backward(ctx: Any, *gradients: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        flat, low, weight, a, b = ctx.saved_tensors
        gradient = gradients[0].reshape(-1, weight.shape[0])  # (N, out)
        thin = gradient @ b  # (N, r)
        dx = None
        if ctx.needs_input_grad[0]:
            dx = (gradient @ weight).addmm_(thin, a).view(*gradients[0].shape[:-1], -1)
        da = (thin.T @ flat).to(torch.float32)  # (r, in)
        db = ctx.scale * (low.T @ gradient).T.to(torch.float32)  # (out, r)
        return dx, None, None, da, db, None


class WholeLora(Linear):  # type: ignore[misc]
    """peft's layer, under the same names of weights, with those products where x and W have one precision."""

    _seen: tuple[int, ...] = ()
    _whole: torch.Tensor

    def forward(self, x: torch.Tensor, *args: Any, **kwargs: Any) -> torch.Tensor:
        """As peft's, which multiplies bfloat16 inputs with adapters in float32."""
        weight = self.base_layer.weight
        if weight.dtype != x.dtype or self.disable_adapters or self.merged:
            return super().forward(x, *args, **kwargs)  # type: ignore[no-any-return]
        a, b = self.lora_A["default"].weight, self.lora_B["default"].weight
        scale = self.scaling["default"]
        bias = self.base_layer.bias
        out: torch.Tensor
        if weight.dtype == torch.float32:
            whole = self._together(weight, a, b, scale)
            out = _WholeProduct.apply(x, whole, bias, a, b, scale)  # type: ignore[no-untyped-call]
        else:
            out = _ThinProducts.apply(x, weight, bias, a, b, scale)  # type: ignore[no-untyped-call]
        return out

    @torch.no_grad()
    def _together(self, weight: torch.Tensor, a: torch.Tensor, b: torch.Tensor, scale: float) -> torch.Tensor:
        """W + scale·B·A, new when one of them was written to or moved."""
        seen = tuple(n for tensor in (weight, a, b) for n in (tensor._version, tensor.data_ptr()))
        if seen != self._seen:
            self._whole = torch.addmm(weight, b, a, alpha=scale)  # a new tensor: graphs may hold the old
            self._seen = seen
        return self._whole


@contextmanager
def without_lora(model: nn.Module) -> Iterator[None]:
    """Switch a model's adapters off for a while, where no gradient is wanted.

    peft's `disable_adapter` also looks at the state of every layer, before and after: 70 ms for 210 layers.
    """
    layers = [module for module in model.modules() if isinstance(module, LoraLayer)]
    for layer in layers:
        layer._disable_adapters = True
    try:
        yield
    finally:
        for layer in layers:
            layer._disable_adapters = False


def use_whole_products(trunk: nn.Module) -> None:
    """Let all of peft's plain LoRA layers in a model (one adapter, no dropout) compute this way."""
    for module in trunk.modules():
        if type(module) is Linear:
            module.__class__ = WholeLora
