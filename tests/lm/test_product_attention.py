"""Attention by two products gives what the fused kernel gives, forwards and backwards, as exactly."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch.nn.functional import scaled_dot_product_attention

from rlhf.lm.product_attention import MOST_TOKENS, product_attention

LOW = torch.finfo(torch.bfloat16).min


def example(tokens: int = 12, *, shared: int = 3) -> dict[str, torch.Tensor]:
    """Queries of six heads, keys and values of `6 / shared`, and a causal mask whose first row is short."""
    random = torch.Generator().manual_seed(0)
    mask = torch.ones(2, 1, tokens, tokens).tril().bool()
    mask[0, :, :, -3:] = False
    mask[0, :, -3:, 0] = True
    return {
        "q": torch.randn(2, 6, tokens, 16, generator=random).bfloat16(),
        "k": torch.randn(2, 6 // shared, tokens, 16, generator=random).bfloat16(),
        "v": torch.randn(2, 6 // shared, tokens, 16, generator=random).bfloat16(),
        "mask": torch.zeros(mask.shape).masked_fill(~mask, LOW).bfloat16(),
        "gradient": torch.randn(2, tokens, 6, 16, generator=random).bfloat16(),
    }


def through(call: Any, given: dict[str, torch.Tensor], dtype: torch.dtype) -> list[torch.Tensor]:
    """Output and the gradients of queries, keys and values."""
    q, k, v = (given[name].detach().to(dtype).requires_grad_() for name in "qkv")
    out = call(q, k, v, given["mask"].to(dtype))
    out.backward(given["gradient"].to(dtype))
    return [part.double() for part in (out.detach(), q.grad, k.grad, v.grad)]


def products(q: torch.Tensor, k: torch.Tensor, v: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    return product_attention(SimpleNamespace(is_causal=True), q, k, v, mask, scaling=0.25)[0]  # type: ignore[arg-type]


def fused(q: torch.Tensor, k: torch.Tensor, v: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    n = q.shape[1] // k.shape[1]
    k, v = k.repeat_interleave(n, 1), v.repeat_interleave(n, 1)
    return scaled_dot_product_attention(q, k, v, attn_mask=mask, scale=0.25).transpose(1, 2)


@pytest.mark.parametrize("shared", [1, 3])
def test_outputs_and_gradients_are_as_near_to_float64_as_the_fused_kernels(shared: int) -> None:
    given = example(shared=shared)
    exact = through(fused, given, torch.float64)
    for ours, theirs, right in zip(
        through(products, given, torch.bfloat16), through(fused, given, torch.bfloat16), exact, strict=True
    ):
        error, usual = ((part - right).norm() / right.norm() for part in (ours, theirs))
        assert error < 0.01  # bfloat16 rounds by up to 0.004
        assert error < 3 * usual


def test_a_token_that_is_masked_has_no_part() -> None:
    given = example()
    first = through(products, given, torch.bfloat16)
    given["k"][0, :, -3:] = 7.0
    given["v"][0, :, -3:] = 7.0
    second = through(products, given, torch.bfloat16)
    for a, b in zip(first[:2], second[:2], strict=True):
        torch.testing.assert_close(a[0], b[0], rtol=0, atol=0)


class Called(Exception):
    """The fused kernel was asked."""


@pytest.mark.parametrize(
    ("tokens", "dtype", "settings"),
    [
        (4, torch.float32, {}),
        (MOST_TOKENS + 1, torch.bfloat16, {}),
        (4, torch.bfloat16, {"dropout": 0.1}),
        (4, torch.bfloat16, {"softcap": 30.0}),
    ],
)
def test_what_it_is_not_made_for_goes_to_the_fused_kernel(
    monkeypatch: pytest.MonkeyPatch, tokens: int, dtype: torch.dtype, settings: dict[str, float]
) -> None:
    def asked(*_: Any, **__: Any) -> None:
        raise Called

    monkeypatch.setattr("rlhf.lm.product_attention.sdpa_attention_forward", asked)
    x = torch.zeros(1, 1, tokens, 8, dtype=dtype)
    mask = torch.zeros(1, 1, tokens, tokens, dtype=dtype)
    with pytest.raises(Called):
        product_attention(SimpleNamespace(is_causal=True), x, x, x, mask, **settings)  # type: ignore[arg-type]
    with pytest.raises(Called):  # without a mask a causal model's order would be lost
        product_attention(SimpleNamespace(is_causal=True), x, x, x, None)  # type: ignore[arg-type]
