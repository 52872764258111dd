"""A row in blocks attends to what the mask over the whole row shows, forwards and backwards."""

from __future__ import annotations

import pytest
import torch
from torch.nn.functional import scaled_dot_product_attention

from rlhf.lm import tree_blocks
from rlhf.lm.token_trees import TokenTree
from rlhf.lm.tree_blocks import blocks_of


def tree(*completions: list[int]) -> torch.Tensor:
    """Who sees whom in a prompt of three tokens with completions."""
    tokens = TokenTree()
    end = tokens.add([1, 2, 3])[-1]
    for completion in completions:
        tokens.add(completion, after=end)
    return torch.from_numpy(tokens.sees())


def test_blocks_by_hand(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tree_blocks, "LONGEST", 3)
    # The prompt 0 1 2 goes on with 3 4, then 5 branches off at 3; another tree of 6 7 8 9.
    blocks = blocks_of([tree([7, 8], [7, 9]), tree([7])], torch.float32)
    assert blocks.queries.tolist() == [[0, 1, 2], [3, 4, 0], [5, 0, 0], [6, 7, 0], [8, 9, 0]]
    assert blocks.keys.tolist() == [
        [0, 1, 2, 0, 0], [0, 1, 2, 3, 4], [0, 1, 2, 3, 5], [6, 7, 0, 0, 0], [6, 7, 8, 9, 0],
    ]  # fmt: skip
    assert blocks.places.tolist() == [0, 1, 2, 3, 4, 6, 9, 10, 12, 13]
    assert (blocks.mask[1, 0, :2] == 0).tolist() == [[True] * 4 + [False], [True] * 5]
    assert (blocks.mask[3, 0, :2] == 0).tolist() == [[True] + [False] * 4, [True] * 2 + [False] * 3]


@pytest.mark.parametrize("longest", [2, 64])
def test_outputs_and_gradients_are_those_of_the_whole_mask(
    monkeypatch: pytest.MonkeyPatch, longest: int
) -> None:
    monkeypatch.setattr(tree_blocks, "LONGEST", longest)
    trees = [tree([7, 8, 9], [7, 9], [4, 5, 6, 7]), tree([7], [8])]
    blocks, mask = blocks_of(trees, torch.float32), torch.block_diag(*trees).bool()
    random = torch.Generator().manual_seed(0)
    q, k, v, gradient = (torch.randn(1, 2, len(mask), 4, generator=random) for _ in range(4))
    sides = []
    for cut in (False, True):
        given = [part.clone().requires_grad_() for part in (q, k, v)]
        if cut:
            out = scaled_dot_product_attention(*blocks.cut(*given), attn_mask=blocks.mask)
            out = blocks.join(out.transpose(1, 2)).transpose(1, 2)
        else:
            out = scaled_dot_product_attention(*given, attn_mask=mask)
        out.backward(gradient)
        sides.append([out, *(part.grad for part in given)])
    for found, expected in zip(*sides, strict=True):
        torch.testing.assert_close(found, expected)
