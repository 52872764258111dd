"""What each annotator's judgments look like: how many, how fast, ties, first places, gold, repeats."""

from __future__ import annotations

import statistics
from array import array
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

from annotator.models import Comparison, Project, Ranking, Verdict
from annotator.quality.agreement import credits
from annotator.quality.votes import Judged


@dataclass
class Person:
    """One annotator's figures."""

    judgments: int = 0
    ranked: int = 0
    ties: int = 0
    preferences: int = 0
    first_preferred: int = 0
    seconds: array[float] = field(default_factory=lambda: array("f"))
    credit: float = 0.0
    pairs: int = 0
    gold_sum: float = 0.0
    golds: int = 0
    repeat_credit: float = 0.0
    repeat_pairs: int = 0

    @property
    def pace(self) -> float | None:
        """Median seconds a judgment."""
        return statistics.median(self.seconds) if self.seconds else None

    @property
    def tie_share(self) -> float | None:
        return self.ties / self.ranked if self.ranked else None

    @property
    def first_share(self) -> float | None:
        """Of the judgments with one best text, how many preferred what was shown first."""
        return self.first_preferred / self.preferences if self.preferences else None

    @property
    def agreement(self) -> float | None:
        """Share of pairs on which others, who judged the same comparison, say the same; ties are half."""
        return self.credit / self.pairs if self.pairs else None

    @property
    def gold(self) -> float | None:
        """Mean score on gold questions."""
        return self.gold_sum / self.golds if self.golds else None

    @property
    def self_agreement(self) -> float | None:
        """Share of pairs ordered alike when the same comparison was shown again, swapped; ties are half."""
        return self.repeat_credit / self.repeat_pairs if self.repeat_pairs else None

    def add(self, row: Mapping[str, Any]) -> None:
        """Count one judgment."""
        self.judgments += 1
        if row["seconds"] is not None:
            self.seconds.append(row["seconds"])
        if row["gold_score"] is not None:
            self.gold_sum += row["gold_score"]
            self.golds += 1
        ranks = row["ranks"]
        if row["verdict"] != Verdict.RANKED or not ranks:
            return
        self.ranked += 1
        self.ties += len(set(ranks.values())) < len(ranks)
        best = [key for key, rank in ranks.items() if rank == min(ranks.values())]
        if len(best) == 1 and row["order"]:
            self.preferences += 1
            self.first_preferred += int(best[0]) == row["order"][0]


class People(dict[int, Person]):
    """The figures by the annotators' ids."""

    def __missing__(self, annotator: int) -> Person:
        person = self[annotator] = Person()
        return person

    def add_agreement(self, judged: Judged) -> None:
        """Credit everybody with what the others of the comparison say."""
        for number, one in enumerate(judged.votes):
            for other in judged.votes[:number]:
                for earned in credits(one.ranks, other.ranks):
                    for annotator in (one.annotator, other.annotator):
                        self[annotator].credit += earned
                        self[annotator].pairs += 1

    def add_repeats(self, project: Project) -> None:
        """Compare the answers to repeats with those that the same people gave before."""
        for annotator, now, before in repeats_of(project):
            for earned in credits(now, before):
                self[annotator].repeat_credit += earned
                self[annotator].repeat_pairs += 1


def repeats_of(project: Project) -> Iterator[tuple[int, dict[str, int], dict[str, int]]]:
    """(annotator, ranks of the repeat, ranks before) of every repeat that was ordered both times."""
    ranked = Ranking.objects.live().filter(verdict=Verdict.RANKED)
    again = (
        ranked.filter(comparison__project=project, comparison__rule=Comparison.Rule.REPEAT)
        .order_by("pk")
        .values_list("annotator", "comparison__repeats", "ranks")
    )
    found = again.iterator(chunk_size=500)
    while rows := list(islice(found, 500)):
        asked = {comparison for _, comparison, _ in rows}
        first = {
            (annotator, comparison): ranks
            for annotator, comparison, ranks in ranked.filter(
                comparison__in=asked, is_adjudication=False
            ).values_list("annotator", "comparison", "ranks")
        }
        for annotator, comparison, ranks in rows:
            before = first.get((annotator, comparison)) if comparison else None
            if before:
                yield annotator, ranks, before
