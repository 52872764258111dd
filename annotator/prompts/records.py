"""What a file of tasks comes down to: a record for each task with all that was given with it.

Texts in a record are as the file had them; `preparing` cleans them. Nothing here touches the database.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

RAW_CHARACTERS = 500
"""Of a line that was rejected, what is kept to show which it was."""


@dataclass(frozen=True)
class GivenCompletion:
    """A completion that came with the file, and who or what wrote it, as far as the file says."""

    text: str
    source: str = ""


@dataclass(frozen=True)
class GivenRanking:
    """A preference that came with the file.

    `ranks` has one number for each of the record's `completions`: 1 is best, equal numbers are ties, 0 is
    for those it says nothing about. `strength` is 1 slightly, 2 better, 3 much, or None.
    """

    ranks: tuple[int, ...]
    strength: int | None = None
    annotator: str = ""
    source: str = ""


@dataclass(frozen=True)
class Record:
    """One task and all that came with it.

    `instruction` is a completion without a source; it comes before `completions`, which alone `preferences`
    count (see `given`). `image` is a name within the file, for `Source.image`. `flags` are the kinds of
    personal data found by the preparation; `ignored` names the fields that were left out.
    """

    line: int
    text: str
    instruction: str = ""
    examples: tuple[dict[str, str], ...] = ()
    held_out_examples: tuple[dict[str, str], ...] = ()
    reference: str = ""
    domain: str = ""
    language: str = ""
    image: str = ""
    image_text: str = ""
    completions: tuple[GivenCompletion, ...] = ()
    preferences: tuple[GivenRanking, ...] = ()
    source: str = ""
    ignored: tuple[str, ...] = ()
    flags: tuple[str, ...] = ()

    @property
    def given(self) -> tuple[GivenCompletion, ...]:
        """All completions, the instruction first unless it is among the others."""
        if not self.instruction or any(given.text == self.instruction for given in self.completions):
            return self.completions
        return (GivenCompletion(self.instruction, self.source), *self.completions)

    def with_language(self, language: str) -> Record:
        """The same in that language."""
        return replace(self, language=language)

    @property
    def shown(self) -> str:
        """The task as one text."""
        return shown(self.text, self.examples)


@dataclass(frozen=True)
class Rejected:
    """A line that brought nothing: which, because of what, and how it began. Line 0 is a whole table.

    `step` is empty for what could not be read, and else names the step of the preparation that left it out.
    """

    line: int
    field: str
    why: str
    raw: str = ""
    step: str = ""

    def __str__(self) -> str:
        place = f"Line {self.line}" if self.line else "The file"
        place += f", {self.field}" if self.field else ""
        return f"{place}: {self.why}"


def shown(text: str, examples: tuple[dict[str, str], ...] | list[dict[str, str]]) -> str:
    """A task as one text, for whatever compares tasks: its description, then its examples."""
    pairs = (f"{example['input']} → {example['output']}".strip(" →") for example in examples)
    return "\n".join(part for part in (text, *pairs) if part)


def rejected(line: int, field: str, why: str, raw: object = "", step: str = "") -> Rejected:
    """A rejected line, its beginning cut to RAW_CHARACTERS; anything but a text is written as JSON."""
    if not isinstance(raw, str):
        raw = json.dumps(raw, ensure_ascii=False, default=str)
    return Rejected(line, field, why, raw[:RAW_CHARACTERS], step)


def texts_of(record: Record) -> Iterator[str]:
    """Every text of the record that `map_texts` changes, empty ones aside."""
    yield from filter(None, (record.text, record.instruction, record.reference, record.image_text))
    for example in (*record.examples, *record.held_out_examples):
        yield from filter(None, example.values())
    for given in record.completions:
        yield given.text


def map_texts(record: Record, change: Callable[[str], str]) -> Record:
    """The record with every text in it changed: what is prompt, completion, example or description."""

    def pairs(examples: tuple[Mapping[str, str], ...]) -> tuple[dict[str, str], ...]:
        return tuple({key: change(text) for key, text in example.items()} for example in examples)

    changed: dict[str, Any] = {
        "text": change(record.text),
        "instruction": change(record.instruction),
        "reference": change(record.reference),
        "image_text": change(record.image_text),
        "examples": pairs(record.examples),
        "held_out_examples": pairs(record.held_out_examples),
        "completions": tuple(replace(given, text=change(given.text)) for given in record.completions),
    }
    return replace(record, **changed)
