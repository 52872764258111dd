"""What an import's page shows before it is stored: the tasks as they will look, what was done to them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import islice
from typing import Any

from django.utils.translation import gettext as _

from annotator.import_forms import StepsForm
from annotator.models import Domain, PromptImport, Verdict
from annotator.prompts import kept
from annotator.prompts.pictures import Picture, language_name, pictures
from annotator.prompts.records import GivenRanking, Record
from annotator.ranking.words import in_words

FIRST = 5
COMPLETIONS = 4
"""Of one task, as many as a page shows without asking."""

FORMATS: dict[str, Callable[[], str]] = {
    "tasks": lambda: _("Tasks, one a row"),
    "pairs": lambda: _("Pairs: instruction, tab, task"),
    "alpaca": lambda: _("Alpaca: instruction, input, output"),
    "seeds": lambda: _("Seed tasks: Self-Instruct, BELLE"),
    "induction": lambda: _("Instruction induction"),
    "chat": lambda: _("Conversations: OpenAI, ShareGPT"),
    "preference": lambda: _("Preferences: TRL, HH-RLHF"),
    "votes": lambda: _("Answers side by side, with votes"),
    "ultrafeedback": lambda: _("UltraFeedback"),
    "argilla": lambda: _("Argilla"),
    "label-studio": lambda: _("Label Studio"),
    "trees": lambda: _("Conversation trees: Open-Assistant"),
    "winogender": lambda: _("Winogender templates"),
}
CONTAINERS: dict[str, Callable[[], str]] = {
    "jsonl": lambda: "JSON Lines",
    "json": lambda: "JSON",
    "csv": lambda: "CSV",
    "tsv": lambda: _("tab-separated"),
    "parquet": lambda: "Parquet",
    "arrow": lambda: "Arrow",
    "zip": lambda: "zip",
    "gzip": lambda: "gzip",
    "dataset": lambda: _("dataset folder"),
}
STEPS: dict[str, Callable[[], str]] = {
    "repair": lambda: _("Damaged characters repaired"),
    "html": lambda: _("HTML removed"),
    "nfkc": lambda: _("Special forms of characters made plain"),
    "characters": lambda: _("Control characters removed"),
    "language": lambda: _("Language recognised"),
    "personal": lambda: _("Personal data"),
    "length": lambda: _("Too short or too long"),
    "duplicates": lambda: _("Repeated lines"),
    "near_duplicates": lambda: _("Nearly the same"),
    "contamination": lambda: _("Gives held-out tasks away"),
}
COMPARING = ("duplicates", "near_duplicates", "contamination")
KINDS: dict[str, Callable[[], str]] = {
    "email": lambda: _("e-mail addresses"),
    "phone": lambda: _("phone numbers"),
    "id": lambda: _("identity numbers"),
    "card": lambda: _("card numbers"),
}


@dataclass(frozen=True)
class StepRow:
    """One step of the preparation: what it did, with examples."""

    label: str
    is_on: bool
    changed: int
    left_out: int
    details: list[tuple[str, int]]
    examples: list[dict[str, Any]]
    compares: bool
    """Whether what stands as `after` in an example is another task, which it is like."""


@dataclass(frozen=True)
class Rejects:
    """Lines that bring nothing, of one kind: the first of them, and how many there are."""

    title: str
    rows: list[dict[str, Any]]
    total: int


@dataclass(frozen=True)
class Said:
    """One judgment that came with a task."""

    words: str
    who: str


@dataclass(frozen=True)
class TaskCard:
    """One task as it will look."""

    record: Record
    domain: str
    language: str
    number: int
    """Its place among the prepared tasks, from 1: names its picture."""

    @property
    def completions(self) -> list[Any]:
        return list(self.record.given[:COMPLETIONS])

    @property
    def more(self) -> int:
        return max(0, len(self.record.given) - COMPLETIONS)

    @property
    def flags(self) -> list[str]:
        """Kinds of personal data in it."""
        return [KINDS[kind]() if kind in KINDS else kind for kind in self.record.flags]

    @property
    def said(self) -> list[Said]:
        """The judgments that came with it; the instructions are numbered as they stand in `completions`."""
        before = len(self.record.given) - len(self.record.completions)
        return [_said(given, before) for given in self.record.preferences[:COMPLETIONS]]


def context(batch: PromptImport, form: StepsForm | None = None) -> dict[str, Any]:
    """The template's variables for one import; with a form that was refused, that one."""
    found: dict[str, Any] = {"format": format_name(batch.format)}
    if batch.may_inspect:
        found["steps_form"] = form or StepsForm(batch=batch)
        found["formats"] = {name: words() for name, words in FORMATS.items() if name != "pairs"}
        found["family"] = family_of(batch.format)
    if batch.report and not batch.is_active:
        found |= _findings(batch)
    if batch.state == PromptImport.State.READY:
        found["cards"] = _cards(batch)
    return found


def _cards(batch: PromptImport) -> list[TaskCard]:
    domains = {value: str(label) for value, label in Domain.choices}
    try:
        records = list(islice(kept.records_of(batch), FIRST))
    except FileNotFoundError:  # cancelled or inspected anew since the row was read
        return []
    return [
        TaskCard(
            record=record,
            domain=domains.get(record.domain or batch.default_domain, record.domain),
            language=language_name(record.language),
            number=number,
        )
        for number, record in enumerate(records, start=1)
    ]


def _findings(batch: PromptImport) -> dict[str, Any]:
    rows, steps = batch.report["rejects"], step_rows(batch.report)
    return {
        "report": batch.report,
        "brings": batch.report.get("brings") or {},
        "steps": steps,
        "off": [step.label for step in steps if not step.is_on],
        "pictures": pictures(batch.report),
        "rejects": [
            Rejects(_("Lines that could not be read"), rows["unread"], batch.report["rejected"]),
            Rejects(_("Lines that a step left out"), rows["left_out"], batch.report["left_out"]),
        ],
    }


def format_name(name: str) -> str:
    """A format's short name in words: “JSON Lines · Alpaca: instruction, input, output”."""
    containers = []
    rest = name
    while (head := rest.partition("-")[0]) in CONTAINERS:
        containers.append(CONTAINERS[head]())
        rest = rest[len(head) + 1 :]
    family = FORMATS[rest]() if rest in FORMATS else rest
    return " · ".join(part for part in (*containers, family) if part)


def family_of(name: str) -> str:
    """The form of the rows, out of a format's short name."""
    fitting = (family for family in FORMATS if name == family or name.endswith(f"-{family}"))
    return max(fitting, key=len, default="")


def step_rows(report: dict[str, Any]) -> list[StepRow]:
    """The steps in the order in which they were taken; also those that were off."""
    return [
        StepRow(
            label=STEPS[step["name"]]() if step["name"] in STEPS else step["name"],
            is_on=step["on"],
            changed=step["changed"],
            left_out=step["left_out"],
            details=[(_kind(kind), n) for kind, n in step["counts"].items()],
            examples=step["examples"],
            compares=step["name"] in COMPARING,
        )
        for step in report.get("steps", [])
    ]


def _said(given: GivenRanking, before: int) -> Said:
    ranks = {place: rank for place, rank in enumerate(given.ranks, start=before + 1) if rank}
    names = [str(place) for place in ranks]
    words = in_words(Verdict.RANKED, ranks, list(ranks), given.strength, names=names)
    return Said(words, " · ".join(part for part in (given.annotator, given.source) if part))


def _kind(name: str) -> str:
    return KINDS[name]() if name in KINDS else language_name(name)


def drawn(batch: PromptImport) -> list[tuple[Picture, int]]:
    """The pictures of a file, and how far down each begins, in pixels."""
    found, y = [], 0
    for picture in pictures(batch.report):
        found.append((picture, y))
        y += picture.height + 100
    return found
