"""Packed weights: the same products, and nothing of them stays behind."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from rlhf.lm.packed_linear import packed_weights


@pytest.mark.parametrize(("dtype", "apart"), [(torch.float32, 1e-5), (torch.bfloat16, 0.02)])
def test_products_are_the_same(dtype: torch.dtype, apart: float) -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(48, 80, bias=False), nn.Tanh(), nn.Linear(80, 24)).to(dtype)
    x = torch.randn(3, 5, 48).to(dtype)
    with torch.inference_mode():
        plain = model(x)
        with packed_weights(model):
            packed = model(x)
    assert packed.shape == (3, 5, 24)
    torch.testing.assert_close(packed, plain, atol=apart, rtol=apart)


def test_weights_written_to_afterwards_are_used() -> None:
    model = nn.Sequential(nn.Linear(2, 1, bias=False))
    with torch.inference_mode(), packed_weights(model):
        model(torch.ones(1, 2))
    with torch.no_grad():
        model[0].weight.copy_(torch.tensor([[3.0, 4.0]]))
    assert model(torch.ones(1, 2)).tolist() == [[7.0]]
    with torch.inference_mode(), packed_weights(model):
        assert model(torch.ones(1, 2)).tolist() == [[7.0]]
