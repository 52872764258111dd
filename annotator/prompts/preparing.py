"""Preparation of what was read: steps that may each be left out, and that count what they did.

preparation = Preparation(options, known=…, count_tokens=…)
for record in preparation.prepare(source.records()):  # Record or Rejected, in the order of the file
    ...
preparation.report()
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any, Literal

from annotator.prompts.fields import MAX_TEXT
from annotator.prompts.formats.given import in_order
from annotator.prompts.records import Record, Rejected
from annotator.prompts.steps import repairing
from annotator.prompts.steps.duplicates import DuplicateStep, KnownPrompt, NearStep
from annotator.prompts.steps.languages import LanguageStep
from annotator.prompts.steps.lengths import Lengths, LengthStep
from annotator.prompts.steps.personal import PersonalStep
from annotator.prompts.steps.step import KEPT_EXAMPLES, Step, TextStep

__all__ = ["KnownPrompt", "Preparation", "PreparationOptions"]

LOT = 256
"""Records that are looked up together among those before."""
STEPS = (
    "repair", "html", "nfkc", "characters", "language", "personal", "length", "duplicates", "near_duplicates",
    "contamination",
)  # fmt: skip
"""All steps in their order, by the names they have in a report and in `Rejected.step`."""


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
        """`known` are the project's tasks; they are read here, and only if something is compared with them.

        `is_held_out` says on which side of the split a record of the file will be. Raises ValueError for
        limits in tokens without `count_tokens`.
        """
        self.options = options = options or PreparationOptions()
        if count_tokens:  # a record's length is asked for by several steps
            count_tokens = lru_cache(2 * LOT)(count_tokens)
        self.default_domain = default_domain
        self._singly = _steps(options, count_tokens, default_language)
        self._near = NearStep(
            near=options.near_duplicates,
            contamination=options.contamination,
            similarity=options.similarity,
            known=known,
            is_held_out=is_held_out or (lambda record: False),
        )
        self._lengths = Lengths(count_tokens)
        self._languages: Counter[str] = Counter()
        self._domains: Counter[str] = Counter()
        self._counts: Counter[str] = Counter()
        self._rejected: list[dict[str, Any]] = []

    def prepare(self, records: Iterable[Record | Rejected]) -> Iterator[Record | Rejected]:
        """The records that are left, and what was rejected, in the order of the file."""
        lot: list[Record | Rejected] = []
        for record in records:
            self._counts["read"] += 1
            lot.append(self._prepared(record))
            if len(lot) == LOT:
                yield from self._compared(lot)
                lot = []
        yield from self._compared(lot)

    def report(self) -> dict[str, Any]:
        """What happened so far, as JSON.

        `read` = `kept` + `rejected` (could not be read) + `left_out` (by a step). Of each step: whether it
        was on, how many records it changed and left out, further counts, and examples of before and after.
        """
        near = (self._near.duplicates, self._near.contaminated)
        done = {step.name: step.report() for step in (*self._singly, *near)}
        empty = Step()
        steps = []
        for name in STEPS:
            empty.name = name
            steps.append({**done.get(name, empty.report()), "on": self._is_on(name)})
        return {
            **{name: self._counts[name] for name in ("read", "kept", "rejected", "left_out")},
            "flagged": self._counts["flagged"],
            "rejects": list(self._rejected),
            "steps": steps,
            "lengths": self._lengths.report(),
            "languages": dict(self._languages.most_common()),
            "domains": dict(self._domains.most_common()),
        }

    def _prepared(self, record: Record | Rejected) -> Record | Rejected:
        for step in self._singly:
            if isinstance(record, Rejected):
                return record
            record = step.apply(record)
        if isinstance(record, Record) and not record.domain:
            return replace(record, domain=self.default_domain)
        return record

    def _compared(self, lot: list[Record | Rejected]) -> Iterator[Record | Rejected]:
        compared = iter(self._near.apply([record for record in lot if isinstance(record, Record)]))
        for record in lot:
            result = next(compared) if isinstance(record, Record) else record
            self._count(result)
            yield result

    def _count(self, result: Record | Rejected) -> None:
        if isinstance(result, Rejected):
            self._counts["left_out" if result.step else "rejected"] += 1
            if not result.step and len(self._rejected) < KEPT_EXAMPLES:
                self._rejected.append({"line": result.line, "field": result.field, "why": result.why})
            return
        self._counts["kept"] += 1
        self._counts["flagged"] += bool(result.flags)
        self._languages[result.language] += 1
        self._domains[result.domain] += 1
        self._lengths.add(result)

    def _is_on(self, name: str) -> bool:
        options = self.options
        return {
            "repair": options.repair,
            "html": options.strip_html,
            "nfkc": options.nfkc,
            "length": bool(options.min_tokens or options.max_tokens),
            "personal": bool(options.personal),
            "duplicates": options.duplicates,
            "near_duplicates": options.near_duplicates,
            "contamination": options.contamination,
        }.get(name, True)


class _CharacterStep(TextStep):
    """Takes control characters out; what has nothing left then is left out."""

    def __init__(self) -> None:
        super().__init__("characters", repairing.without_controls)

    def apply(self, record: Record) -> Record | Rejected:  # type: ignore[override]  # only here may it be empty
        before, changes = record.shown, self.changed
        record = super().apply(record)
        if not record.shown.strip():
            self.keep_example(record.line, before, "")
            return self.reject(record, "text", "is empty once it is cleaned.")
        if max(map(len, (record.text, *(given.text for given in record.given)))) > MAX_TEXT:
            return self.reject(record, "text", f"has more than {MAX_TEXT} characters once it is cleaned.")
        return in_order(record) if self.changed > changes else record


def _steps(
    options: PreparationOptions, count_tokens: Callable[[str], int] | None, default_language: str
) -> list[Step]:
    """The steps that look at one record at a time, in their order."""
    steps: list[Step] = []
    if options.repair:
        steps.append(TextStep("repair", repairing.repair))
    if options.strip_html:
        steps.append(TextStep("html", repairing.without_html))
    if options.nfkc:
        steps.append(TextStep("nfkc", repairing.nfkc))
    steps.append(_CharacterStep())
    steps.append(LanguageStep(default=default_language, wanted=options.languages))
    if options.personal:
        steps.append(PersonalStep(masks=options.personal == "mask"))
    if options.min_tokens or options.max_tokens:
        steps.append(LengthStep(count_tokens, least=options.min_tokens, most=options.max_tokens))
    if options.duplicates:
        steps.append(DuplicateStep())
    return steps
