"""The scalar head of a trained reward model: one weight for each number that it reads, in float32."""

from __future__ import annotations

import torch
from torch import nn


class ScalarHead(nn.Module):
    """s = ((x - centre) / scale · w - offset) / spread, all float32; only w is trained."""

    centre: torch.Tensor
    scale: torch.Tensor
    offset: torch.Tensor
    spread: torch.Tensor

    def __init__(self, width: int, seed: int) -> None:
        super().__init__()
        generator = torch.Generator().manual_seed(seed)
        self.weight = nn.Parameter(torch.randn(width, generator=generator) * 0.02)
        self.register_buffer("centre", torch.zeros(width))
        self.register_buffer("scale", torch.ones(width))
        self.register_buffer("offset", torch.zeros(()))
        self.register_buffer("spread", torch.ones(()))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Shape: (N, width) -> (N,)."""
        raw = ((x.float() - self.centre) / self.scale) @ self.weight
        scores: torch.Tensor = (raw - self.offset) / self.spread
        return scores
