"""Prompts of an exact number of tokens, for scripts that measure time."""

from __future__ import annotations

from typing import Any

import numpy as np
from trainers import WORDS


def prompt_of(tokenizer: Any, tokens: int, seed: int) -> list[int]:
    """So many tokens of English words, ending as a prompt in the model's chat format ends."""
    start, end = "<|im_start|>user\n", "<|im_end|>\n<|im_start|>assistant\n"
    before, after = (tokenizer(text, add_special_tokens=False)["input_ids"] for text in (start, end))
    words = " ".join(np.random.default_rng(seed).choice(WORDS, tokens))
    inside = tokenizer(words, add_special_tokens=False)["input_ids"]
    return [*before, *inside[: tokens - len(before) - len(after)], *after]
