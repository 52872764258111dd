"""Sequences that begin alike, packed into one row of a batch so that each token is encoded once.

A prompt with its completions, or an instruction with its inputs and outputs, costs a fraction of what
the single sequences would, and gives the same hidden states.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence, Sized
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch

from rlhf.lm.backbones import CausalLM
from rlhf.lm.lora_linear import without_lora

LOGIT_ROWS = 256  # positions whose logits over the whole vocabulary are held at once


@dataclass
class TokenTree:
    """Node i holds token `ids[i]`; its parent comes before it, -1 above the roots.

    Each node attends to its ancestors alone and its position is its depth, so that it sees what it
    would see in a sequence of its own.
    """

    ids: list[int] = field(default_factory=list)
    parents: list[int] = field(default_factory=list)
    depths: list[int] = field(default_factory=list)
    _children: dict[tuple[int, int], int] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.ids)

    def add(self, tokens: Sequence[int], *, after: int = -1) -> list[int]:
        """Put a sequence below node `after`; returns the node of each of its tokens."""
        nodes = []
        node = after
        for token in tokens:
            child = self._children.get((node, token))
            if child is None:
                child = len(self.ids)
                self._children[node, token] = child
                self.ids.append(token)
                self.parents.append(node)
                self.depths.append(self.depths[node] + 1 if node >= 0 else 0)
            node = child
            nodes.append(node)
        return nodes

    def sees(self) -> np.ndarray:
        """Which node (row) attends to which (column). Shape: (n, n), bool."""
        matrix = np.eye(len(self), dtype=bool)
        for node, parent in enumerate(self.parents):
            if parent >= 0:
                matrix[node] |= matrix[parent]
        return matrix


def batches(rows: Sequence[Sized], *, tokens: int) -> Iterator[list[int]]:
    """The places of rows of alike length, as many together as fit into `tokens` with their padding."""
    batch: list[int] = []
    for place in sorted(range(len(rows)), key=lambda place: len(rows[place])):
        if batch and len(rows[place]) * (len(batch) + 1) > tokens:
            yield batch
            batch = []
        batch.append(place)
    if batch:
        yield batch


def packed(trees: Sequence[TokenTree], dtype: torch.dtype, device: torch.device) -> dict[str, Any]:
    """What a decoder is called with for a batch of trees, T the longest: ids and positions (B, T), mask.

    The mask (B, 1, T, T) is added to the attention scores.
    """
    width = max(len(tree) for tree in trees)
    ids = torch.zeros(len(trees), width, dtype=torch.long)
    positions = torch.zeros_like(ids)
    sees = torch.eye(width, dtype=torch.bool).repeat(
        len(trees), 1, 1
    )  # padding sees itself: no empty softmax
    for i, tree in enumerate(trees):
        n = len(tree)
        ids[i, :n], positions[i, :n] = torch.tensor(tree.ids), torch.tensor(tree.depths)
        sees[i, :n, :n] = torch.from_numpy(tree.sees())
    mask = torch.zeros(sees.shape, dtype=dtype).masked_fill_(~sees, torch.finfo(dtype).min)
    return {
        "input_ids": ids.to(device),
        "position_ids": positions.to(device),
        "attention_mask": mask[:, None].to(device),
        "use_cache": False,
    }


@torch.inference_mode()
def hidden_states(
    lm: CausalLM, trees: Sequence[TokenTree], *, layers: Sequence[int] = (-1,)
) -> list[torch.Tensor]:
    """Hidden states of some layers for a batch of trees: (B, T, H) each, adapters off, T the longest tree.

    Layers count as in transformers' `hidden_states`: 0 is the embedding, -1 comes after the last norm.
    """
    inputs = packed(trees, lm.model.dtype, lm.device)
    with without_lora(lm.model):
        out = lm.model.get_decoder()(**inputs, output_hidden_states=set(layers) != {-1})
    return [out.last_hidden_state if layer == -1 else out.hidden_states[layer] for layer in layers]


@torch.inference_mode()
def token_logprobs(
    lm: CausalLM, hidden: torch.Tensor, *, rows: Sequence[int], tokens: Sequence[int]
) -> torch.Tensor:
    """log p(tokens[k]) after last hidden state hidden[rows[k]]. Shapes: (P, H) -> (len(tokens),), float32.

    The vocabulary's logits are made for a few positions at a time: all of them would not fit.
    """
    head = lm.model.get_output_embeddings()
    row, token = torch.tensor(rows, device=lm.device), torch.tensor(tokens, device=lm.device)
    out = torch.empty(len(token))
    for start in range(0, len(hidden), LOGIT_ROWS):
        logits = head(hidden[start : start + LOGIT_ROWS]).float()  # (R, V)
        inside = ((row >= start) & (row < start + LOGIT_ROWS)).nonzero()[:, 0]
        here = row[inside] - start
        out[inside.cpu()] = (logits[here, token[inside]] - logits.logsumexp(-1)[here]).cpu()
    return out
