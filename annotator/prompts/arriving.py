"""The rows that an import brings, a chunk of tasks at a time, out of sight of everybody (see `aside`).

A task that the project has already is not stored again: what the file brings for it hangs on a stand-in
until all is shown.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice
from typing import Any, TypeVar

from django.core.files import File
from django.db import transaction
from django.db.models import Max

from annotator.models import Comparison, Completion, Project, Prompt, PromptImport, hash_text
from annotator.prompts import aside, comparing, kept
from annotator.prompts.given import GivenRankings
from annotator.prompts.records import Record
from annotator.prompts.steps.languages import recognise

CHUNK = 250
"""Tasks stored in one transaction: some tens of milliseconds, which is what others may have to wait."""
Rule = Comparison.Rule
Guard = Callable[[], None]
"""Called inside each transaction; raises when the import is not ours any more."""
T = TypeVar("T")


class Arrival:
    """One import on its way in: call `add` with all tasks, then `compare`; `counts` says what came."""

    def __init__(self, batch: PromptImport, place: Project, guard: Guard) -> None:
        self.batch, self.place, self.guard = batch, place, guard
        self.project = batch.project
        self.iteration = iteration_of(self.project)
        self.counts: Counter[str] = Counter(
            dict.fromkeys(("prompts", "held_out", "known", "images", "completions", "completions_known"), 0)
        )
        self.languages: Counter[str] = Counter()
        self.domains: Counter[str] = Counter()
        self.ignored: Counter[str] = Counter()
        self.prompts: dict[str, int] = {}
        """Hash → id of the row in this place, a new task or a stand-in."""
        self.real: dict[int, int] = {}
        """Stand-in → the project's own task."""
        self.texts: dict[tuple[int, str], int] = {}
        """(task in this place, hash of a text) → the completion, which may be the project's own."""
        self.instructed: dict[int, None] = {}
        """Tasks in this place for which the file has instructions, in the file's order."""
        self.rankings = GivenRankings(batch, place, self.iteration)

    def add(self, records: Sequence[Record]) -> None:
        """Store a chunk of tasks and all that was given with them, in one transaction."""
        rows = [self._prompt(record) for record in records]
        fresh = self._fresh(rows, records)
        with transaction.atomic():
            self.guard()
            for prompt in Prompt.objects.bulk_create(fresh):
                self.prompts[prompt.hash] = prompt.pk
            self._know(fresh)
            places = [self.prompts[row.hash] for row in rows]
            self._add_completions(places, records)
            self.rankings.add(list(zip(places, records, strict=True)), self.texts)

    def compare(self) -> Iterator[int]:
        """Put instructions that came without judgments beside each other; yields the comparisons so far."""
        added = 0
        for some in batches(self.instructed, CHUNK):
            rows = self._comparisons(some)
            with transaction.atomic():
                self.guard()
                comparing.insert(rows)
            added += len(rows)
            yield added
        self.counts["comparisons"] = added

    def summary(self) -> dict[str, Any]:
        """What came, as the import keeps it."""
        return {
            **self.counts,
            **self.rankings.counts,
            "annotators": len(self.rankings.people),
            "languages": dict(self.languages),
            "domains": dict(self.domains),
            "ignored_fields": dict(self.ignored),
        }

    def _prompt(self, record: Record) -> Prompt:
        text = record.text
        language = record.language or recognise(record.shown, self.project.language)
        prompt = Prompt(
            project=self.place,
            batch=self.batch,
            text=text,
            examples=list(record.examples),
            held_out_examples=list(record.held_out_examples),
            reference=record.reference,
            domain=record.domain or self.batch.default_domain,
            language=language,
        )
        prompt.fill_in()
        self.ignored.update(record.ignored)
        return prompt

    def _fresh(self, rows: Sequence[Prompt], records: Sequence[Record]) -> list[Prompt]:
        """The tasks that this place has not got yet; a stand-in for each that the project has."""
        first: dict[str, tuple[Prompt, Record]] = {}
        for row, record in zip(rows, records, strict=True):
            if row.hash not in self.prompts:
                first.setdefault(row.hash, (row, record))
        known = {row.hash: row for row in self.project.prompts.filter(hash__in=list(first))}
        self.counts["known"] += len(known)
        new = [(row, record) for key, (row, record) in first.items() if key not in known]
        for row, record in new:
            self.counts["prompts"] += 1
            self.counts["held_out"] += row.is_held_out
            self.languages[row.language] += 1
            self.domains[row.domain] += 1
            if record.image:
                self._give_image(row, record)
        self._standing_for = {key: row.pk for key, row in known.items()}
        return [row for row, _ in new] + [aside.shadow_of(row, self.place) for row in known.values()]

    def _give_image(self, prompt: Prompt, record: Record) -> None:
        """Its picture was encoded anew when the file was inspected; a copy becomes the task's."""
        path = kept.path_of(record.image)
        storage = Prompt.image.field.storage
        with path.open("rb") as file:
            prompt.image = storage.save(f"{aside.image_folder(self.place)}{path.name}", File(file))
        prompt.image_text = record.image_text[:2000]
        self.counts["images"] += 1

    def _know(self, fresh: list[Prompt]) -> None:
        """Learn what the project's own tasks have already."""
        for prompt in fresh:
            if prompt.hash in self._standing_for:
                self.real[prompt.pk] = self._standing_for[prompt.hash]
        stand_ins = {self.real[prompt.pk]: prompt.pk for prompt in fresh if prompt.pk in self.real}
        texts = Completion.objects.filter(prompt__in=stand_ins)
        for real, key, pk in texts.values_list("prompt", "text_hash", "pk"):
            self.texts[stand_ins[real], key] = pk
        self.rankings.know(stand_ins)

    def _add_completions(self, places: Sequence[int], records: Sequence[Record]) -> None:
        new: dict[tuple[int, str], Completion] = {}
        for place, record in zip(places, records, strict=True):
            for given in record.given:
                self.instructed[place] = None
                key = (place, hash_text(given.text))
                if key in self.texts:
                    self.counts["completions_known"] += 1
                elif key not in new:
                    new[key] = Completion(
                        prompt_id=place,
                        text=given.text,
                        text_hash=key[1],
                        source=Completion.Source.IMPORTED,
                        origin=given.source[:200],
                        batch=self.batch,
                        iteration=self.iteration,
                    )
        self.counts["completions"] += len(new)
        for row in Completion.objects.bulk_create(new.values()):
            self.texts[row.prompt_id, row.text_hash] = row.pk

    def _comparisons(self, places: list[int]) -> list[tuple[Comparison, tuple[int, ...]]]:
        stands = {self.real.get(place, place): place for place in places}
        of_place: dict[int, list[int]] = {}
        imported = Completion.objects.filter(
            prompt__in=[*places, *stands], source=Completion.Source.IMPORTED
        ).exclude(slots__comparison__rule=Rule.IMPORTED)
        for prompt, pk in imported.order_by("pk").values_list("prompt", "pk"):
            of_place.setdefault(stands.get(prompt, prompt), []).append(pk)
        asked = Comparison.objects.filter(prompt__in=stands, rule=Rule.RANDOM)
        known = {(stands[prompt], key) for prompt, key in asked.values_list("prompt", "completions_key")}
        rows = []
        for place, pks in of_place.items():
            seed = self.real.get(place, place)
            for chosen in comparing.chain(pks, self.project.completions_per_comparison, seed=seed):
                row = comparing.comparison_of(self.place, place, chosen, Rule.RANDOM, self.iteration)
                if (place, row.completions_key) not in known:
                    row.judgments_wanted = self.project.judgments_wanted
                    rows.append((row, chosen))
        return rows


def iteration_of(project: Project) -> int:
    """The loop's turn that the newest comparisons belong to."""
    latest: int | None = project.comparisons.aggregate(latest=Max("iteration"))["latest"]
    return latest or 1


def batches(items: Iterable[T], size: int) -> Iterator[list[T]]:
    """The items, `size` at a time."""
    rows = iter(items)
    while some := list(islice(rows, size)):
        yield some
