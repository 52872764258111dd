"""Held-out tasks that stand within other texts: by the share of their n-grams that a text has.

The measure is PaLM's (Chowdhery et al. 2022, §8): 70 % of the 8-grams of words; sixteen characters in scripts
without spaces. Tasks too short to have an n-gram of their own are told by their whole text, unless that is so
short that anything may contain it.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from annotator.prompts.steps.minhash import shingles

WORDS, CHARACTERS = 8, 16
SHARE = 0.7
LEAST = 25
"""Characters of a held-out task below which it is not looked for within others."""


@dataclass(frozen=True)
class Overlap:
    """How much of a held-out task a text has in it, and where that task is."""

    share: float
    place: str


class Overlaps:
    """The n-grams of held-out tasks."""

    def __init__(self) -> None:
        self._places: list[str] = []
        self._sizes: list[int] = []
        self._with: dict[int, list[int]] = {}

    def add(self, text: str, place: str) -> None:
        """Look for this held-out task from now on."""
        found = _ngrams(text)
        if len(text) < LEAST or not found:
            return
        for ngram in found:
            self._with.setdefault(ngram, []).append(len(self._places))
        self._places.append(place)
        self._sizes.append(len(found))

    def worst(self, text: str) -> Overlap | None:
        """The held-out task that the text has most of, if it is at least SHARE of it."""
        if not self._with:
            return None
        shared: Counter[int] = Counter()
        for ngram in _ngrams(text):
            shared.update(self._with.get(ngram, ()))
        worst = max(((count / self._sizes[n], n) for n, count in shared.items()), default=(0.0, -1))
        return Overlap(worst[0], self._places[worst[1]]) if worst[0] >= SHARE else None


def _ngrams(text: str) -> list[int]:
    found: list[int] = shingles(text, words=WORDS, characters=CHARACTERS).tolist()
    return found
