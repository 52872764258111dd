"""A packed row of completions in blocks, so that attention makes only the scores that somebody sees.

A completion sees its prompt and itself, not the others: of a group of eight with a short prompt a mask over
the whole row hides four scores of five, each as dear as the fifth. Several groups then fit in a row, too.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch.nn.utils.rnn import pad_sequence

LONGEST = 64  # tokens of a block


@dataclass(frozen=True)
class Blocks:
    """A row of T tokens as B blocks, each of up to R tokens that see up to C.

    Shapes: `queries` (B, R) and `keys` (B, C) say which token stands where, `places` (T,) where in `queries`
    each token is found again, and `mask` (B, 1, R, C) is added to the scores.
    """

    queries: torch.Tensor
    keys: torch.Tensor
    places: torch.Tensor
    mask: torch.Tensor

    def cut(
        self, q: torch.Tensor, k: torch.Tensor, v: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """(1, heads, T, D) three times -> (B, heads, R, D), and twice (B, heads, C, D)."""
        q, k, v = (
            _Take.apply(part[0].transpose(0, 1), which.to(part.device)).transpose(1, 2)  # type: ignore[no-untyped-call]
            for part, which in ((q, self.queries), (k, self.keys), (v, self.keys))
        )
        return q, k, v

    def join(self, out: torch.Tensor) -> torch.Tensor:
        """The way back: (B, R, heads, D) -> (1, T, heads, D)."""
        whole: torch.Tensor = _Take.apply(out.flatten(0, 1), self.places.to(out.device))  # type: ignore[no-untyped-call]
        return whole[None]


def blocks_of(trees: Sequence[torch.Tensor], dtype: torch.dtype) -> Blocks:
    """Of trees one after another in a row, by who sees whom in each, (t, t) bool.

    Cut where a token does not see the one before it, and what is longer than LONGEST into equal parts.
    """
    tokens, seen, shown, start = [], [], [], 0
    for sees in trees:
        branches = (~sees.diagonal(-1)).nonzero()[:, 0] + 1
        for run in torch.arange(len(sees)).tensor_split(branches):
            for block in run.tensor_split(math.ceil(len(run) / LONGEST)):
                columns = sees[block].any(0).nonzero()[:, 0]
                tokens.append(block + start)
                seen.append(columns + start)
                shown.append(sees[block][:, columns])
        start += len(sees)
    width, rows = max(map(len, seen)), max(map(len, tokens))
    mask = torch.full((len(tokens), 1, rows, width), torch.finfo(dtype).min, dtype=dtype)
    for place, open_ in zip(mask[:, 0], shown, strict=True):
        place[: open_.shape[0], : open_.shape[1]].masked_fill_(open_, 0.0)
    used = torch.arange(rows) < torch.tensor([[len(block)] for block in tokens])  # (B, R)
    queries, keys = (pad_sequence(places, batch_first=True) for places in (tokens, seen))
    return Blocks(queries, keys, used.flatten().nonzero()[:, 0], mask)


class _Take(torch.autograd.Function):
    """rows[which], whose gradient is summed in float32 where a row is taken several times."""

    @staticmethod
    def forward(ctx: Any, rows: torch.Tensor, which: torch.Tensor) -> torch.Tensor:
        ctx.save_for_backward(which)
        ctx.rows = len(rows)
        return rows.index_select(0, which.flatten()).view(*which.shape, *rows.shape[1:])

    @staticmethod
    def backward(ctx: Any, *gradients: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        (which,) = ctx.saved_tensors
        gradient = gradients[0].flatten(0, which.dim() - 1)
        sums = gradient.new_zeros((ctx.rows, *gradient.shape[1:]), dtype=torch.float32)
        return sums.index_add_(0, which.flatten(), gradient.float()).to(gradient.dtype), None
