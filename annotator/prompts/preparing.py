"""Preparation of what was read: steps that may each be left out, and that count what they did."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Literal

from annotator.prompts.cleaning import clean_text, strip_text
from annotator.prompts.records import Record, Rejected, map_texts, rejected


@dataclass(frozen=True)
class PreparationOptions:
    """Which steps are taken. Control characters always go: the database and the pages cannot hold them."""

    repair: bool = True
    """Mojibake and other damage of encodings (ftfy)."""
    nfkc: bool = False
    """Compatibility characters into plain ones: full-width letters, ligatures, superscripts."""
    strip_html: bool = False
    """HTML tags out, entities into characters."""
    languages: tuple[str, ...] = ()
    """Only tasks in these; none named: all."""
    duplicates: bool = True
    """Leave out lines that repeat all of another."""
    near_duplicates: bool = False
    """Leave out tasks that are nearly the same as another of the file or the project."""
    similarity: float = 0.8
    """Jaccard similarity of shingles from which two tasks are nearly the same."""
    contamination: bool = True
    """Leave out tasks that give away a held-out one."""
    min_tokens: int = 0
    max_tokens: int = 0
    """Of the task in the generator's tokens; 0: no limit."""
    personal: Literal["", "flag", "mask"] = "flag"
    """E-mail addresses, phone, identity and card numbers."""


@dataclass(frozen=True)
class KnownPrompt:
    """A task that the project has already, as `records.shown` writes it."""

    text: str
    is_held_out: bool = False


class Preparation:
    """One file's preparation: `prepare` once, then `report`."""

    def __init__(
        self,
        options: PreparationOptions | None = None,
        *,
        known: Iterable[KnownPrompt] = (),
        count_tokens: Callable[[str], int] | None = None,
        default_language: str = "en",
        default_domain: str = "general",
        is_held_out: Callable[[Record], bool] | None = None,
    ) -> None:
        """`is_held_out` says on which side of the split a record of the file will be."""
        self.options = options or PreparationOptions()
        self.default_language, self.default_domain = default_language, default_domain
        self.counts: Counter[str] = Counter()

    def prepare(self, records: Iterable[Record | Rejected]) -> Iterator[Record | Rejected]:
        """The records that are left, and what was rejected, in the order of the file."""
        for record in records:
            if isinstance(record, Rejected):
                self.counts["rejected"] += 1
                yield record
                continue
            cleaned = map_texts(record, clean_text if self.options.repair else strip_text)
            if not cleaned.text and not cleaned.examples:
                yield rejected(record.line, "text", "is empty once it is cleaned.", record.text, "characters")
                continue
            self.counts["kept"] += 1
            yield cleaned

    def report(self) -> dict[str, Any]:
        """What each step did so far, as JSON: {"read", "kept", "rejected", "steps": [...], ...}."""
        return {"kept": self.counts["kept"], "rejected": self.counts["rejected"], "steps": []}
