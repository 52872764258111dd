"""Judgments that come with a file: whose they are, and the closed comparisons that hold them.

Each named annotator of a file becomes a user of the project's own who can never sign in
(`User.is_imported`), and each judgment a ranking that names its import (`Ranking.batch`): neither of a
person of this project, nor simulated. Their comparisons have the rule `imported`, are closed, and want no
more judgments than they have.
"""

from __future__ import annotations

import hashlib
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from django.db.models import F
from django.utils import timezone

from annotator.models import Assignment, Comparison, Project, PromptImport, Ranking, User, hash_text
from annotator.prompts import comparing
from annotator.prompts.records import GivenRanking, Record

MOST = 9
"""Completions that a comparison can show."""
Texts = Mapping[tuple[int, str], int]


@dataclass(frozen=True)
class Said:
    """One judgment, resolved to rows."""

    comparison_id: int
    annotator: User
    ranks: dict[int, int]
    strength: int | None


class GivenRankings:
    """The judgments of one import on their way in; `late` are those on comparisons that are there already."""

    def __init__(self, batch: PromptImport, place: Project, iteration: int) -> None:
        self.batch, self.place, self.iteration = batch, place, iteration
        self.counts: Counter[str] = Counter(rankings=0, rankings_known=0, rankings_unclear=0)
        self.people: dict[tuple[str, str], User] = {}
        self.late: list[Said] = []
        self._comparisons: dict[tuple[int, str], int] = {}
        self._shown: set[int] = set()
        """Comparisons that the project has already."""
        self._judged: set[tuple[int, int]] = set()
        """(comparison, annotator)"""
        self._number = 0

    def know(self, stand_ins: Mapping[int, int]) -> None:
        """Learn which imported judgments the project's own tasks have (task → its stand-in)."""
        rows = Comparison.objects.filter(prompt__in=stand_ins, rule=Comparison.Rule.IMPORTED)
        for pk, prompt, key in rows.values_list("pk", "prompt", "completions_key"):
            self._comparisons[stand_ins[prompt], key] = pk
            self._shown.add(pk)
        given = Ranking.objects.live().filter(comparison__in=rows)
        self._judged.update(given.values_list("comparison", "annotator"))

    def add(self, found: Sequence[tuple[int, Record]], texts: Texts) -> None:
        """Store the judgments of a chunk of tasks: (task, its record); with (task, hash) → completion."""
        wanted = [
            (place, given, record.source, ranks)
            for place, record in found
            for given in record.preferences
            if (ranks := self._ranks(place, record, given, texts))
        ]
        self._compare([(place, ranks) for place, _, _, ranks in wanted])
        said: list[Said] = []
        for place, given, source, ranks in wanted:
            annotator = self._person(given.annotator, given.source or source)
            comparison = self._comparisons[place, comparing.key_of(ranks)]
            if (comparison, annotator.pk) in self._judged:
                self.counts["rankings_known"] += 1
                continue
            self._judged.add((comparison, annotator.pk))
            one = Said(comparison, annotator, ranks, given.strength)
            (self.late if comparison in self._shown else said).append(one)
        self._store(said)

    def add_late(self) -> None:
        """Store the judgments on comparisons that everybody sees: to be called when the others are shown."""
        self._store(self.late)

    def _ranks(self, place: int, record: Record, given: GivenRanking, texts: Texts) -> dict[int, int]:
        """Completion → rank, without gaps; empty where the judgment orders nothing that can be stored."""
        ranks: dict[int, int] = {}
        for completion, rank in zip(record.completions, given.ranks, strict=True):
            if rank > 0:
                pk = texts[place, hash_text(completion.text)]
                if ranks.setdefault(pk, rank) != rank:  # the same text, ranked twice
                    ranks = {}
                    break
        if not 2 <= len(ranks) <= MOST:
            self.counts["rankings_unclear"] += 1
            return {}
        dense = {rank: n for n, rank in enumerate(sorted(set(ranks.values())), start=1)}
        return {pk: dense[rank] for pk, rank in ranks.items()}

    def _compare(self, wanted: Sequence[tuple[int, dict[int, int]]]) -> None:
        """Make the comparisons that are missing; how many judgments they have is counted later."""
        rows: dict[tuple[int, str], tuple[Comparison, list[int]]] = {}
        for place, ranks in wanted:
            key = comparing.key_of(ranks)
            if (place, key) not in self._comparisons and (place, key) not in rows:
                rule = Comparison.Rule.IMPORTED
                row = comparing.comparison_of(self.place, place, ranks, rule, self.iteration)
                row.is_closed, row.judgments_wanted = True, 0
                rows[place, key] = (row, list(ranks))
        comparing.insert(list(rows.values()))
        self._comparisons.update({key: row.pk for key, (row, _) in rows.items()})

    def _store(self, said: Sequence[Said]) -> None:
        now = timezone.now()
        held = Assignment.objects.bulk_create(
            Assignment(
                comparison_id=one.comparison_id,
                annotator=one.annotator,
                state=Assignment.State.SUBMITTED,
                order=list(one.ranks),
                leased_until=now,
            )
            for one in said
        )
        rows = []
        for one, assignment in zip(said, held, strict=True):
            self._number += 1
            is_pair = len(one.ranks) == 2 and len(set(one.ranks.values())) == 2
            rows.append(
                Ranking(
                    comparison_id=one.comparison_id,
                    assignment=assignment,
                    annotator=one.annotator,
                    ranks={str(pk): rank for pk, rank in one.ranks.items()},
                    strength=one.strength if is_pair else None,
                    order=list(one.ranks),
                    idempotency_key=f"import-{self.batch.pk}-{self._number}",
                    batch=self.batch,
                )
            )
        Ranking.objects.bulk_create(rows)
        self.counts["rankings"] += len(rows)
        by_count: defaultdict[int, list[int]] = defaultdict(list)
        for pk, count in Counter(one.comparison_id for one in said).items():
            by_count[count].append(pk)
        for count, pks in by_count.items():
            Comparison.objects.filter(pk__in=pks).update(
                judgments_wanted=F("judgments_wanted") + count, judgments_taken=F("judgments_taken") + count
            )

    def _person(self, annotator: str, source: str) -> User:
        """The user who stands for this annotator of this source."""
        name = (annotator.strip()[:150], source.strip()[:150])
        if not any(name):
            name = ("", self.batch.name[:150])
        if name not in self.people:
            digest = hashlib.sha256("\0".join([str(self.batch.project_id), *name]).encode()).hexdigest()
            user, _ = User.objects.get_or_create(
                username=f"imported-{digest[:32]}",
                defaults={
                    "first_name": name[0],
                    "last_name": name[1],
                    "is_imported": True,
                    "is_active": False,
                    "password": "!",  # what no password hashes to
                },
            )
            self.people[name] = user
        return self.people[name]
