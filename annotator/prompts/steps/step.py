"""What all steps have in common: how they count, and the few examples they keep of what they did."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any

from annotator.prompts.records import Record, Rejected, map_texts, rejected, texts_of

KEPT_EXAMPLES = 5
BEFORE, LENGTH = 30, 160
"""Characters of an example: before the first change, and in all."""


class Step:
    """One step; `apply` is called with every record that the steps before it left."""

    name: str

    def __init__(self) -> None:
        self.changed = 0
        self.left_out = 0
        self.counts: Counter[str] = Counter()
        self.examples: list[dict[str, Any]] = []

    def apply(self, record: Record) -> Record | Rejected:
        """The record, changed or not, or why it is left out."""
        raise NotImplementedError

    def keep_example(self, line: int, before: str, after: str) -> None:
        """Keep it if there are few yet, cut to where the texts begin to differ."""
        if len(self.examples) < KEPT_EXAMPLES:
            start = max(0, _differs_at(before, after) - BEFORE) if after else 0
            cut = slice(start, start + LENGTH)
            self.examples.append({"line": line, "before": before[cut], "after": after[cut]})

    def reject(self, record: Record, field: str, why: str) -> Rejected:
        """Leave the record out."""
        self.left_out += 1
        return rejected(record.line, field, why, record.shown, self.name)

    def report(self) -> dict[str, Any]:
        """What it did, as JSON."""
        return {
            "name": self.name,
            "changed": self.changed,
            "left_out": self.left_out,
            "counts": dict(self.counts),
            "examples": self.examples,
        }


class TextStep(Step):
    """A step that changes every text by itself."""

    def __init__(self, name: str, change: Callable[[str], str]) -> None:
        super().__init__()
        self.name, self.change = name, change

    def apply(self, record: Record) -> Record:
        """The record with its texts changed."""
        for text in texts_of(record):
            after = self.change(text)
            if after != text:
                self.changed += 1
                self.keep_example(record.line, text, after)
                return map_texts(record, lambda text: self.change(text) if text else text)
        return record


def _differs_at(before: str, after: str) -> int:
    """The first place at which the texts differ."""
    for place, (a, b) in enumerate(zip(before, after, strict=False)):
        if a != b:
            return place
    return min(len(before), len(after))
