"""Prompts of an exact number of tokens, for scripts that measure time."""

from __future__ import annotations

from typing import Any

import numpy as np
from trainers import WORDS


def prompt_of(tokenizer: Any, tokens: int, seed: int) -> list[int]:
    """So many tokens: English words in the model's chat format. Their text has the same tokens again."""
    start, end = "<|im_start|>user\n", "<|im_end|>\n<|im_start|>assistant\n"
    before, after = (tokenizer(text, add_special_tokens=False)["input_ids"] for text in (start, end))
    for attempt in range(100):
        words = " ".join(np.random.default_rng([seed, attempt]).choice(WORDS, tokens))
        inside = tokenizer(words, add_special_tokens=False)["input_ids"]
        ids = [*before, *inside[: tokens - len(before) - len(after)], *after]
        if tokenizer(tokenizer.decode(ids))["input_ids"] == ids:
            return ids
    raise ValueError(f"no prompt of {tokens} tokens has a text with the same tokens")
