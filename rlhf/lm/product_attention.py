"""Attention for training in bfloat16 on a CPU: two plain batched products and a softmax, each way.

On its way back torch's fused kernel is up to three times slower than in float32 (docs/LOG.md). This is
transformers' own "eager" attention with its gradient: scores and weights are rounded to bfloat16, the
softmax is summed in float32.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from transformers import AttentionInterface, AttentionMaskInterface
from transformers.integrations.sdpa_attention import sdpa_attention_forward
from transformers.masking_utils import eager_mask

from rlhf.lm.tree_blocks import Blocks

NAME = "rlhf_products"
# Longer rows are left to the fused kernel, which does not keep the (heads, T, T) weights for the way back: at
# this length they take about as much memory as all else that a layer keeps.
MOST_TOKENS = 1024
UNKNOWN_HERE = ("dropout", "cache", "position_bias", "softcap")


class _Products(torch.autograd.Function):
    """softmax(q·kᵀ·scale + mask)·v, where heads of queries share those of keys and values."""

    @staticmethod
    def forward(
        ctx: Any, q: torch.Tensor, k: torch.Tensor, v: torch.Tensor, mask: torch.Tensor | None, scale: float
    ) -> torch.Tensor:
        batch, heads, tokens, width = q.shape
        groups = batch * k.shape[1]
        q = (q * scale).reshape(groups, -1, width)  # (G, heads a group · T, D)
        k, v = k.reshape(groups, -1, width), v.reshape(groups, -1, width)  # (G, T, D)
        scores = torch.bmm(q, k.transpose(1, 2))
        if mask is not None:
            scores.view(batch, heads, tokens, -1).add_(mask)
        weights = scores.softmax(-1)  # (G, heads a group · T, T)
        ctx.save_for_backward(q, k, v, weights)
        ctx.scale, ctx.shapes = scale, ((batch, heads, tokens, width), (batch, -1, k.shape[1], width))
        return torch.bmm(weights, v).view(batch, heads, tokens, width)

    @staticmethod
    def backward(ctx: Any, *gradients: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        q, k, v, weights = ctx.saved_tensors
        of_queries, of_keys = ctx.shapes
        gradient = gradients[0].reshape(q.shape)
        dv = torch.bmm(weights.transpose(1, 2), gradient)
        dweights = torch.bmm(gradient, v.transpose(1, 2))
        dscores = torch._softmax_backward_data(dweights, weights, -1, weights.dtype)
        dq = torch.bmm(dscores, k).mul_(ctx.scale)
        dk = torch.bmm(dscores.transpose(1, 2), q)
        return dq.view(of_queries), dk.view(of_keys), dv.view(of_keys), None, None


def product_attention(
    module: torch.nn.Module,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: torch.Tensor | None,
    blocks: Blocks | None = None,
    **settings: Any,
) -> tuple[torch.Tensor, None]:
    """As transformers calls an attention: (B, heads, T, D), keys of fewer heads -> (B, T, heads, D).

    `attention_mask`, (B, 1, T, T), is added to the scores; with `blocks` (of one row) it is that of them.
    What this is not made for goes to the fused kernel: float32, a GPU, a cache, dropout and all else beside
    a mask.
    """
    if blocks is not None:
        query, key, value = blocks.cut(query, key, value)
    fits = (
        query.device.type == "cpu"
        and query.dtype == torch.bfloat16
        and (blocks is not None or query.shape[2] == key.shape[2] <= MOST_TOKENS)
        and (attention_mask is not None or not module.is_causal)
        and not any(settings.get(name) for name in UNKNOWN_HERE)
    )
    if fits:
        scale = settings.get("scaling") or query.shape[-1] ** -0.5
        out: torch.Tensor = _Products.apply(query, key, value, attention_mask, scale)  # type: ignore[no-untyped-call]
        out = out.transpose(1, 2)
    else:
        out, _ = sdpa_attention_forward(module, query, key, value, attention_mask, **settings)
    return (out if blocks is None else blocks.join(out)), None


def use_products(trunk: Any) -> None:
    """Let a transformer compute its attention so."""
    AttentionInterface.register(NAME, product_attention)
    AttentionMaskInterface.register(NAME, eager_mask)
    trunk.config._attn_implementation = NAME


@contextmanager
def products(model: Any) -> Iterator[None]:
    """Let a causal model, or a peft model around it, compute its attention so for a while."""
    config = model.get_decoder().config
    before = config._attn_implementation
    use_products(model.get_decoder())
    try:
        yield
    finally:
        config._attn_implementation = before
