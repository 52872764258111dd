"""Rows of tokens as tensors: padding, packing of a prompt with its completions, log-probabilities."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from rlhf.lm.product_attention import products
from rlhf.lm.token_trees import TokenTree
from rlhf.lm.tree_blocks import blocks_of


def pad_left(
    rows: Sequence[Sequence[int]], pad_id: int, device: torch.device | str = "cpu"
) -> tuple[torch.Tensor, torch.Tensor]:
    """Ids and mask (1 where a token stands) of rows that end together. Shapes: (B, T), (B, T)."""
    width = max(len(row) for row in rows)
    ids = torch.full((len(rows), width), pad_id, dtype=torch.long)
    mask = torch.zeros((len(rows), width), dtype=torch.long)
    for i, row in enumerate(rows):
        ids[i, width - len(row) :] = torch.tensor(list(row), dtype=torch.long)
        mask[i, width - len(row) :] = 1
    return ids.to(device), mask.to(device)


@dataclass(frozen=True)
class PackedGroup:
    """One prompt and its G completions in one row, in which each completion sees the prompt and itself.

    Shapes: `ids` and `positions` (T,), `sees` (T, T) bool; of the N completion tokens, `nodes` (N,) is
    where each is predicted, `targets` (N,) which it is, `owners` (N,) whose it is, in order.
    """

    ids: torch.Tensor
    positions: torch.Tensor
    sees: torch.Tensor
    nodes: torch.Tensor
    targets: torch.Tensor
    owners: torch.Tensor
    completions: int


def pack_group(prompt: Sequence[int], completions: Sequence[Sequence[int]]) -> PackedGroup:
    """Pack a prompt and its completions: the prompt is encoded once instead of G times."""
    tree = TokenTree()
    end = tree.add(prompt)[-1]
    nodes: list[int] = []
    owners: list[int] = []
    for owner, completion in enumerate(completions):
        nodes += [end, *tree.add(completion[:-1], after=end)]  # nothing is predicted after the last token
        owners += [owner] * len(completion)
    return PackedGroup(
        ids=torch.tensor(tree.ids),
        positions=torch.tensor(tree.depths),
        sees=torch.from_numpy(tree.sees()),
        nodes=torch.tensor(nodes),
        targets=torch.tensor([token for completion in completions for token in completion]),
        owners=torch.tensor(owners),
        completions=len(completions),
    )


def completion_states(model: Any, *groups: PackedGroup) -> torch.Tensor:
    """Last hidden states from which the N completion tokens are predicted, with gradient. Shape: (N, H).

    Several groups, whose tokens come one group after another, are read as one row: that is quicker.
    """
    device, decoder = model.device, model.get_decoder()
    starts = np.cumsum([0, *(len(group.ids) for group in groups)]).tolist()
    attention: dict[str, Any] = {}
    if decoder._supports_attention_backend:
        attention["blocks"] = blocks_of([group.sees for group in groups], model.dtype)
        mask = attention["blocks"].mask
    else:  # an older kind of model, which cannot be told how to attend
        sees = torch.block_diag(*(group.sees.int() for group in groups)).bool()  # type: ignore[no-untyped-call]
        mask = torch.zeros(1, 1, *sees.shape, dtype=model.dtype)
        mask = mask.masked_fill_(~sees, torch.finfo(model.dtype).min)
    with products(model):
        hidden = decoder(
            input_ids=torch.cat([group.ids for group in groups])[None].to(device),  # (1, T)
            position_ids=torch.cat([group.positions for group in groups])[None].to(device),
            attention_mask=mask.to(device),
            use_cache=False,
            **attention,
        ).last_hidden_state[0]  # (T, H)
    nodes = torch.cat([group.nodes + start for group, start in zip(groups, starts, strict=False)])
    states: torch.Tensor = hidden[nodes.to(device)]
    return states


def completion_logits(model: Any, group: PackedGroup) -> torch.Tensor:
    """Logits at the completion tokens alone, float32, with gradient. Shape: (N, V)."""
    logits: torch.Tensor = model.get_output_embeddings()(completion_states(model, group))
    return logits.float()


def token_logprobs(logits: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    """log p(target) of each row. Shapes: (N, V), (N,) -> (N,)."""
    return -torch.nn.functional.cross_entropy(logits, targets.to(logits.device), reduction="none")


def sum_by_owner(values: torch.Tensor, group: PackedGroup) -> torch.Tensor:
    """Per-token values added up per completion. Shapes: (N,) -> (G,)."""
    sums = values.new_zeros(group.completions)
    return sums.index_add(0, group.owners.to(values.device), values)
