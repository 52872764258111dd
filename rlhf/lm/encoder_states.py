"""What a sentence encoder sees in a completion when it reads it after its prompt."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from rlhf.lm.backbones import Encoder
from rlhf.lm.prompting import shorten

PROMPT_TOKENS = 128
COMPLETION_TOKENS = 256
BATCH_SIZE = 32


@torch.inference_mode()
def pooled_states(
    encoder: Encoder, pairs: Sequence[tuple[str, str]], *, completion_tokens: int = COMPLETION_TOKENS
) -> np.ndarray:
    """Mean and maximum of the states at half the depth over a completion's tokens, read after its prompt.

    Both are cut so that they fit. Of an empty completion zeros. Shape: (len(pairs), 2 * hidden), float32.
    """
    room = encoder.model.config.max_position_embeddings
    limits = (min(PROMPT_TOKENS, room // 4), min(completion_tokens, room // 2))
    texts = [
        tuple(shorten(encoder.tokenizer, text, limit) for text, limit in zip(pair, limits, strict=True))
        for pair in pairs
    ]
    order = sorted(range(len(texts)), key=lambda i: len(texts[i][0]) + len(texts[i][1]))
    out = np.zeros((len(texts), 2 * encoder.model.config.hidden_size), dtype=np.float32)
    for start in range(0, len(order), BATCH_SIZE):
        chosen = order[start : start + BATCH_SIZE]
        batch = encoder.tokenizer(
            [texts[i][0] for i in chosen], [texts[i][1] for i in chosen], padding=True, return_tensors="pt"
        )
        parts = [[part == 1 for part in batch.sequence_ids(row)] for row in range(len(chosen))]
        states = encoder.model(**batch.to(encoder.model.device), output_hidden_states=True).hidden_states
        for row, i in enumerate(chosen):
            own = states[len(states) // 2][row, torch.tensor(parts[row])].float()  # (tokens, H)
            if len(own):
                out[i] = torch.cat([own.mean(0), own.amax(0)]).cpu().numpy()
    return out
