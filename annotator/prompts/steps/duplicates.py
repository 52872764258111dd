"""Tasks that are there already: the very same line again, or nearly the same task.

A line whose task is the same as another's but that brings another instruction or preference is no duplicate:
it joins the task. What happens to a task's first line as nearly the same as another happens to all its lines.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from annotator.prompts.records import Record, Rejected
from annotator.prompts.steps.contamination import Overlaps
from annotator.prompts.steps.minhash import shingles
from annotator.prompts.steps.near import NearIndex, Sketch, alike_before
from annotator.prompts.steps.step import Step

EXCERPT = 200
"""Characters of a kept task, to show what another was nearly the same as."""
_NEAR, _GIVEN_AWAY = "near_duplicates", "contamination"


@dataclass(frozen=True)
class KnownPrompt:
    """A task that the project has already, as `records.shown` writes it."""

    text: str
    is_held_out: bool = False


class DuplicateStep(Step):
    """Leaves out lines that repeat all of another line."""

    name = "duplicates"

    def __init__(self) -> None:
        super().__init__()
        self.seen: dict[bytes, int] = {}

    def apply(self, record: Record) -> Record | Rejected:
        """The record, unless the file has had it."""
        first = self.seen.setdefault(_digest(_all_of(record)), record.line)
        if first == record.line:
            return record
        self.keep_example(record.line, record.shown, "")
        return self.reject(record, "", f"is the same as line {first}.")


@dataclass
class _Kept:
    """A task that was kept: where it is, how it begins, and on which side of the split."""

    place: str
    excerpt: str
    is_held_out: bool


class NearStep:
    """Leaves out tasks nearly the same as one that is kept, and those that give away a held-out one.

    It takes records in lots. Both are looked up in one index: nearly the same on one side of the split is a
    near duplicate, across it is contamination.
    """

    def __init__(
        self,
        *,
        near: bool,
        contamination: bool,
        similarity: float,
        known: Iterable[KnownPrompt],
        is_held_out: Callable[[Record], bool],
    ) -> None:
        self.duplicates, self.contaminated = Step(), Step()
        self.duplicates.name, self.contaminated.name = _NEAR, _GIVEN_AWAY
        self.near, self.contamination = near, contamination
        self.is_held_out = is_held_out
        self.index = NearIndex(similarity)
        self.overlaps = Overlaps()
        self.kept: list[_Kept] = []
        self.fates: dict[bytes, tuple[Step, str] | None] = {}  # by task: left out by which step, and why
        if self.is_on:
            self._know(known)

    @property
    def is_on(self) -> bool:
        """Whether there is anything to do."""
        return self.near or self.contamination

    def apply(self, records: Sequence[Record]) -> list[Record | Rejected]:
        """The records in their order, those that are left out as rejected."""
        if not self.is_on:
            return list(records)
        keys = [_digest(record.shown) for record in records]
        new: dict[bytes, Record] = {}
        for key, record in zip(keys, records, strict=True):
            if key not in self.fates:
                new.setdefault(key, record)
        self._decide(new)
        decided = []
        for key, record in zip(keys, records, strict=True):
            fate = self.fates[key]
            decided.append(fate[0].reject(record, "text", fate[1]) if fate else record)
        return decided

    def _decide(self, records: dict[bytes, Record]) -> None:
        """What becomes of tasks that were not met before, in their order."""
        sets = {key: shingles(record.shown) for key, record in records.items()}
        sketches = {key: Sketch.of(found) for key, found in sets.items() if len(found)}
        among_kept = dict(zip(sketches, self.index.nearest(list(sketches.values())), strict=True))
        in_lot = dict(
            zip(sketches, alike_before(list(sketches.values()), self.index.similarity), strict=True)
        )
        places = list(sketches)
        numbers: dict[bytes, int] = {}  # of those of this lot that are kept
        for key, record in records.items():
            held_out = self.is_held_out(record)
            before = ((numbers.get(places[place]), share) for place, share in in_lot.get(key, ()))
            alike = among_kept.get(key, []) + [(n, share) for n, share in before if n is not None]
            self.fates[key] = self._fate(
                record, held_out, sorted(alike, key=lambda pair: (-pair[1], pair[0]))
            )
            if self.fates[key] is not None:
                continue
            if key in sketches:
                numbers[key] = len(self.kept)
                self.kept.append(_Kept(f"line {record.line}", record.shown[:EXCERPT], held_out))
            if held_out and self.contamination:
                self.overlaps.add(record.shown, f"line {record.line}")
        self.index.add([sketches[key] for key in numbers])

    def _fate(
        self, record: Record, held_out: bool, alike: list[tuple[int, float]]
    ) -> tuple[Step, str] | None:
        for number, share in alike:
            other = self.kept[number]
            across = other.is_held_out != held_out
            if self.contamination and across:
                side = "held-out " if other.is_held_out else ""
                other_side = "" if other.is_held_out else ", while it would be held out itself"
                self.contaminated.keep_example(record.line, record.shown, other.excerpt)
                return (
                    self.contaminated,
                    f"is {share:.0%} the same as the {side}task in {other.place}{other_side}.",
                )
            if self.near and not (self.contamination and across):
                self.duplicates.keep_example(record.line, record.shown, other.excerpt)
                return self.duplicates, f"is {share:.0%} the same as {other.place}."
        if self.contamination and not held_out:
            overlap = self.overlaps.worst(record.shown)
            if overlap:
                self.contaminated.keep_example(record.line, record.shown, "")
                return (
                    self.contaminated,
                    f"has {overlap.share:.0%} of the held-out task in {overlap.place} in it.",
                )
        return None

    def _know(self, known: Iterable[KnownPrompt]) -> None:
        """Take in the tasks that the project has. The same task again is no near duplicate: it joins them."""
        lot: list[Sketch] = []
        for prompt in known:
            self.fates[_digest(prompt.text)] = None
            if prompt.is_held_out and self.contamination:
                self.overlaps.add(prompt.text, "the project")
            found = shingles(prompt.text)
            if len(found):
                lot.append(Sketch.of(found))
                self.kept.append(_Kept("the project", prompt.text[:EXCERPT], prompt.is_held_out))
            if len(lot) == 1000:
                self.index.add(lot)
                lot = []
        self.index.add(lot)


def _all_of(record: Record) -> str:
    """All that a line brings, as one text."""
    given = (record.given, record.preferences, record.reference, record.held_out_examples, record.image)
    return f"{record.shown}\x00{given!r}"


def _digest(text: str) -> bytes:
    """A text's hash; white space makes no difference."""
    return hashlib.blake2b(" ".join(text.split()).encode("utf-8", "replace"), digest_size=16).digest()
