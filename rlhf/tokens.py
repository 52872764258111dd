"""Counts text in the tokens of a project's generator, without loading the generator."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from django.conf import settings
from tokenizers import Tokenizer

from annotator.models import Project


def counter(project: Project, *, needed: bool) -> Callable[[str], int] | None:
    """A function from texts to their number of tokens.

    None where the generator has to be made ready first and it is not `needed`. Raises ValueError where it is
    needed and there is none.
    """
    name = project.base_model
    file = next((f for f in _places(name) if f.is_file()), None)
    if file is None and needed:
        from rlhf.lm import backbones  # torch: seconds, and only where there is no other way

        file = backbones.resolve(name, settings.MODELS_DIR) / "tokenizer.json"
        if not file.is_file():
            raise ValueError(f"the model {name!r} has no tokenizer.json to count tokens with")
    if file is None:
        return None
    tokenizer = Tokenizer.from_file(str(file))
    return lambda text: len(tokenizer.encode(text, add_special_tokens=False))


def _places(name: str) -> list[Path]:
    return [settings.MODELS_DIR / name / "tokenizer.json", Path(name).expanduser() / "tokenizer.json"]
