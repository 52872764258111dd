"""What a BERT-like encoder's pooler reads, without the rest of the last layer.

The pooler reads the first token. In the last layer all other tokens are keys and values alone: their
queries, attention output and MLP would be computed for nothing.
"""

from __future__ import annotations

from typing import Any

import torch
from torch.nn.functional import scaled_dot_product_attention

from rlhf.lm.layer_split import split


class FirstToken:
    """Calls an encoder up to its pooler. Shares every weight with the model."""

    def __init__(self, model: Any) -> None:
        self.lower, upper = split(model, 1)
        self.layer = upper.encoder.layer[0]
        self.pooler = model.pooler

    @staticmethod
    def fits(model: Any) -> bool:
        """Whether the model is one whose layers are known to be computed so."""
        return model.config.model_type == "bert" and len(model.encoder.layer) > 1

    def __call__(self, input_ids: torch.Tensor, attention_mask: torch.Tensor) -> torch.Tensor:
        """Shapes: (B, T), (B, T) with 1 where a token stands -> (B, H)."""
        states = self.lower(input_ids=input_ids, attention_mask=attention_mask).last_hidden_state  # (B, T, H)
        own, rest = self.layer.attention.self, states[:, :1]
        heads = (len(states), -1, own.num_attention_heads, own.attention_head_size)
        query = own.query(rest).view(heads).transpose(1, 2)  # (B, heads, 1, D)
        key, value = (part(states).view(heads).transpose(1, 2) for part in (own.key, own.value))
        seen = scaled_dot_product_attention(query, key, value, attn_mask=attention_mask[:, None, None].bool())
        attended = self.layer.attention.output(seen.transpose(1, 2).flatten(2), rest)  # (B, 1, H)
        last = self.layer.output(self.layer.intermediate(attended), attended)
        return torch.as_tensor(self.pooler(last))
