"""Counting tokens as the generator does: with its tokenizer's file, and without its model."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from tokenizers import Tokenizer

NAME = "tokenizer.json"


def counter(model: Path) -> Callable[[str], int] | None:
    """A function from a text to its number of tokens; None where the model's folder has no such tokenizer."""
    if not (model / NAME).is_file():
        return None
    tokenizer = Tokenizer.from_file(str(model / NAME))
    tokenizer.no_truncation()
    tokenizer.no_padding()

    def count(text: str) -> int:
        return len(tokenizer.encode(text, add_special_tokens=False).ids)

    return count
