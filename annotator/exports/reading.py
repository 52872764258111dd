"""Reads a project's judgments as they stood at one moment, a comparison at a time, in bounded memory.

They come by prompt, then comparison, then judgment, so that all that was ever said of a comparison is
together: what is superseded, who decided and how far people agree is worked out where it is needed, as of
that moment, and costs no query. Rows are read as tuples, texts a batch at a time.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from itertools import combinations, groupby
from operator import itemgetter
from typing import NamedTuple

from django.db.models import QuerySet

from annotator import consent
from annotator.exports import provenance
from annotator.exports.selection import Frozen, Selection
from annotator.models import Comparison, Completion, Project, Prompt, Ranking, Verdict
from annotator.pseudonyms import pseudonym
from annotator.quality.agreement import credits

PROMPTS = 500
BATCH = 1000
"""So many judgments' texts are in memory together."""


class Text(NamedTuple):
    """A completion; `pk` is None where it is the improved text of a judgment."""

    pk: int | None
    text: str
    source: str
    iteration: int
    checkpoint: int | None
    origin: str = ""
    """Where an imported text comes from, as its file says."""


class Task(NamedTuple):
    """A prompt, in words."""

    pk: int
    text: str
    domain: str
    language: str
    hash: str
    is_held_out: bool


class Said(NamedTuple):
    """A judgment: a row of rankings."""

    prompt: int
    comparison: int
    rule: str
    iteration: int
    is_queued: bool
    pk: int
    annotator: int
    verdict: str
    ranks: dict[str, int]
    strength: int | None
    reason: str
    flags: dict[str, list[str]]
    ratings: dict[str, dict[str, int]]
    rationale: str
    improved_text: str
    order: list[int]
    seconds: float | None
    guideline_version: int | None
    supersedes: int | None
    is_simulated: bool
    is_adjudication: bool
    batch: int | None
    created_at: datetime


COLUMNS = (
    "comparison__prompt",
    "comparison",
    "comparison__rule",
    "comparison__iteration",
    "comparison__is_queued",
    "pk",
    "annotator",
    "verdict",
    "ranks",
    "strength",
    "reason",
    "flags",
    "ratings",
    "rationale",
    "improved_text",
    "order",
    "seconds",
    "guideline_version",
    "supersedes",
    "is_simulated",
    "is_adjudication",
    "batch",
    "created_at",
)


@dataclass(frozen=True, slots=True)
class Judged:
    """A comparison with what was said of it, as the selection takes it."""

    task: Task
    pk: int
    rule: str
    iteration: int
    said: list[Said]
    """All of it, superseded and undone too, oldest first."""
    superseded_by: dict[int, int]
    votes: list[Said]
    """What preferences follow from: in force, no gold question, repeat or evaluation; a decision alone."""
    agreement: float | None
    """Of two votes' orders of two texts, how many are the same way round; ties are half. None: one vote."""
    texts: Mapping[int, Text]
    """Those that may be taken out, by id."""

    def is_live(self, said: Said) -> bool:
        return said.verdict != Verdict.UNDONE and said.pk not in self.superseded_by


@dataclass
class Reader:
    """One pass over a project."""

    project: Project
    selection: Selection
    frozen: Frozen
    withdrawn: Collection[int] | None = None
    """Whose judgments and texts are left out. None: of those who have withdrawn as of now."""
    withheld_judgments: int = 0
    withdrawn_annotators: set[int] = field(default_factory=set)
    withdrawn_texts: set[int] = field(default_factory=set)
    names: dict[int, str] = field(default_factory=dict)
    read: int = 0
    """So many judgments have been read, taken or not."""

    def __post_init__(self) -> None:
        chosen = consent.withdrawn_ids(self.project) if self.withdrawn is None else self.withdrawn
        self.left_out = frozenset(chosen)
        # The manifest holds it: nothing that was known of people who have withdrawn.
        gone = {self.name(user_id) for user_id in self.left_out}
        known = {name: eta for name, eta in self.frozen.reliability.items() if name not in gone}
        self.frozen = replace(self.frozen, reliability=known)

    def name(self, user_id: int) -> str:
        """The annotator's pseudonym."""
        known = self.names.get(user_id)
        if known is None:
            known = self.names[user_id] = pseudonym(self.project, user_id)
        return known

    def reliability(self, user_id: int) -> float | None:
        return self.frozen.reliability.get(self.name(user_id))

    def withheld(self) -> dict[str, int]:
        """What the pass would have taken, had its annotators not withdrawn."""
        return {
            "judgments": self.withheld_judgments,
            "annotators": len(self.withdrawn_annotators),
            "texts": len(self.withdrawn_texts),
        }

    def __iter__(self) -> Iterator[Judged]:
        waiting: list[list[Said]] = []
        size = 0
        for group in self._comparisons():
            waiting.append(group)
            size += len(group)
            if size >= BATCH:
                yield from self._with_texts(waiting)
                waiting, size = [], 0
        if waiting:
            yield from self._with_texts(waiting)

    def _comparisons(self) -> Iterator[list[Said]]:
        for chunk in self._prompts():
            rows = Ranking.objects.filter(comparison__prompt__in=chunk).order_by(
                "comparison__prompt", "comparison", "pk"
            )
            if self.selection.iteration_from is not None:
                rows = rows.filter(comparison__iteration__gte=self.selection.iteration_from)
            if self.selection.iteration_to is not None:
                rows = rows.filter(comparison__iteration__lte=self.selection.iteration_to)
            found = rows.values_list(*COLUMNS).iterator(chunk_size=BATCH)
            for _, group in groupby(found, key=itemgetter(1)):
                last = self.frozen.last_ranking
                if said := [row for row in map(Said._make, group) if row.pk <= last]:
                    self.read += len(said)
                    yield said

    def _prompts(self) -> Iterator[list[int]]:
        """The ids of the prompts that the selection takes, some hundred at a time."""
        rows: QuerySet[Prompt] = self.project.prompts.order_by("pk")
        if self.selection.domains:
            rows = rows.filter(domain__in=self.selection.domains)
        if self.selection.languages:
            rows = rows.filter(language__in=self.selection.languages)
        if self.selection.held_out != "include":
            rows = rows.filter(is_held_out=self.selection.held_out == "only")
        last = 0
        while chunk := list(rows.filter(pk__gt=last).values_list("pk", flat=True)[:PROMPTS]):
            yield chunk
            last = chunk[-1]

    def _with_texts(self, groups: list[list[Said]]) -> Iterator[Judged]:
        tasks = self._tasks({group[0].prompt for group in groups})
        texts = self._texts({pk for group in groups for said in group for pk in said.order})
        for group in groups:
            if judged := self._judged(tasks[group[0].prompt], group, texts):
                yield judged

    def _judged(self, task: Task, group: list[Said], texts: dict[int, Text]) -> Judged | None:
        superseded = {said.supersedes: said.pk for said in group if said.supersedes is not None}
        said = [row for row in group if self._is_taken(row, texts)]
        if not said:
            return None
        live = [row for row in said if row.verdict != Verdict.UNDONE and row.pk not in superseded]
        agreement = _agreement(live)
        least = self.selection.min_agreement
        if least is not None and (agreement is None or agreement < least):
            return None
        first = said[0]
        votes: list[Said] = []
        if first.is_queued and first.rule != Comparison.Rule.EVALUATION:
            decisions = [row for row in live if row.is_adjudication]
            votes = [row for row in decisions or live if row.verdict in (Verdict.RANKED, Verdict.ALL_BAD)]
        return Judged(
            task, first.comparison, first.rule, first.iteration, said, superseded, votes, agreement, texts
        )

    def _is_taken(self, row: Said, texts: dict[int, Text]) -> bool:
        wanted = self.selection
        if wanted.given_from is not None and row.created_at < wanted.given_from:
            return False
        if wanted.given_before is not None and row.created_at >= wanted.given_before:
            return False
        if wanted.judgments != "all" and kind_of(row) != wanted.judgments:
            return False
        if wanted.min_reliability is not None and (
            (self.reliability(row.annotator) or 0.0) < wanted.min_reliability
        ):
            return False
        if wanted.sources and not all(pk in texts and texts[pk].source in wanted.sources for pk in row.order):
            return False
        if row.annotator in self.left_out:
            self.withheld_judgments += 1
            self.withdrawn_annotators.add(row.annotator)
            return False
        return True

    def _tasks(self, ids: set[int]) -> dict[int, Task]:
        rows = Prompt.objects.filter(pk__in=ids).values_list(
            "pk", "text", "examples", "domain", "language", "hash", "is_held_out"
        )
        return {
            pk: Task(pk, in_words(text, examples), domain, language, digest, is_held_out)
            for pk, text, examples, domain, language, digest, is_held_out in rows
        }

    def _texts(self, ids: set[int]) -> dict[int, Text]:
        """The completions; without the texts of annotators who have withdrawn."""
        checkpoints = provenance.known.checkpoints_of(ids)
        rows = Completion.objects.filter(pk__in=ids).values_list(
            "pk", "text", "source", "iteration", "author", "origin"
        )
        texts = {}
        for pk, text, source, iteration, author, origin in rows:
            if author in self.left_out:
                self.withdrawn_texts.add(pk)
            else:
                texts[pk] = Text(pk, text, source, iteration, checkpoints.get(pk), origin)
        return texts


def kind_of(row: Said) -> str:
    """Who gave it: somebody `real`, a `simulated` annotator, or an `imported` file."""
    if row.batch is not None:
        return "imported"
    return "simulated" if row.is_simulated else "real"


def in_words(text: str, examples: list[dict[str, str]]) -> str:
    """A task in words: its description, then its examples."""
    shown = (f"Input: {example['input']}\nOutput: {example['output']}" for example in examples)
    return "\n\n".join(part for part in (text, *shown) if part)


def _agreement(live: list[Said]) -> float | None:
    """As quality/agreement.py has it, of one comparison."""
    ranked = [row.ranks for row in live if row.verdict == Verdict.RANKED and not row.is_adjudication]
    if len(ranked) < 2:
        return None
    earned = [credit for one, other in combinations(ranked, 2) for credit in credits(one, other)]
    return sum(earned) / len(earned) if earned else None
