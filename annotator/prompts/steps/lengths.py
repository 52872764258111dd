"""How long the tasks are, in the generator's own tokens where its tokenizer is there, else in characters."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any

from annotator.prompts.records import Record, Rejected
from annotator.prompts.steps.step import Step

EDGES = (0, 8, 16, 32, 64, 128, 256, 512, 1024, 2048, 4096, 8192)
"""Of the histogram's bins; the last bin has no end."""


class LengthStep(Step):
    """Leaves out tasks that are too short or too long, and counts the lengths of the others."""

    name = "length"

    def __init__(self, count: Callable[[str], int] | None, *, least: int, most: int) -> None:
        """`least` and `most` are tokens, 0 for no limit; without `count` there can be none."""
        super().__init__()
        if count is None and (least or most):
            raise ValueError("lengths can only be limited where the generator's tokenizer is at hand")
        self.count = count or len
        self.unit = "tokens" if count else "characters"
        self.least, self.most = least, most

    def apply(self, record: Record) -> Record | Rejected:
        """The record, if its task is within the limits."""
        if not self.least and not self.most:
            return record
        length = self.count(record.shown)
        if length < self.least:
            self.keep_example(record.line, record.shown, "")
            return self.reject(record, "text", f"has {length} {self.unit}; {self.least} are the fewest.")
        if self.most and length > self.most:
            self.keep_example(record.line, record.shown, "")
            return self.reject(record, "text", f"has {length} {self.unit}; {self.most} are the most.")
        return record


class Lengths:
    """The lengths of the records that were kept."""

    def __init__(self, count: Callable[[str], int] | None) -> None:
        self.count = count or len
        self.unit = "tokens" if count else "characters"
        self.seen: Counter[int] = Counter()

    def add(self, record: Record) -> None:
        """Count one."""
        self.seen[self.count(record.shown)] += 1

    def report(self) -> dict[str, Any]:
        """A histogram, as JSON: `counts[n]` tasks are from `edges[n]` to below `edges[n + 1]` long."""
        counts = [0] * len(EDGES)
        for length, number in self.seen.items():
            counts[sum(edge <= length for edge in EDGES) - 1] += number
        ordered = sorted(self.seen.elements())
        total = len(ordered)
        return {
            "unit": self.unit,
            "edges": list(EDGES),
            "counts": counts,
            "mean": sum(ordered) / total if total else 0.0,
            "median": ordered[total // 2] if total else 0,
            "most": ordered[-1] if total else 0,
        }
