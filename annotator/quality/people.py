"""What each annotator's judgments look like: how many, how fast, ties, first places, agreement."""

from __future__ import annotations

import statistics
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from typing import Any

from annotator.models import Project, Ranking, User, Verdict
from annotator.quality.agreement import credits
from annotator.quality.progress import start_of_day


@dataclass
class Person:
    """One annotator's row."""

    user: User
    judgments: int = 0
    today: int = 0
    ranked: int = 0
    ties: int = 0
    preferences: int = 0
    first_preferred: int = 0
    seconds: list[float] = field(default_factory=list)
    credit: float = 0.0
    pairs: int = 0

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


def of_project(project: Project) -> list[Person]:
    """A row for everybody who has judged, the busiest first. Reads each live ranking once."""
    people: dict[int, Person] = {}
    rankings = Ranking.objects.live().filter(comparison__project=project)
    rows = rankings.order_by("comparison", "pk").values(
        "annotator", "comparison", "verdict", "ranks", "order", "seconds", "created_at"
    )
    users = User.objects.in_bulk(list(rankings.order_by().values_list("annotator", flat=True).distinct()))
    today = start_of_day()
    for _, group in groupby(rows.iterator(chunk_size=2000), key=lambda row: row["comparison"]):
        votes = list(group)
        for row in votes:
            person = people.setdefault(row["annotator"], Person(users[row["annotator"]]))
            person.judgments += 1
            person.today += row["created_at"] >= today
            if row["seconds"] is not None:
                person.seconds.append(row["seconds"])
            if row["verdict"] == Verdict.RANKED:
                _count_ranking(person, row)
        _count_agreement(people, [row for row in votes if row["verdict"] == Verdict.RANKED])
    return sorted(people.values(), key=lambda person: (-person.judgments, person.user.username))


def _count_ranking(person: Person, row: Mapping[str, Any]) -> None:
    ranks = row["ranks"]
    person.ranked += 1
    person.ties += len(set(ranks.values())) < len(ranks)
    best = [key for key, rank in ranks.items() if rank == min(ranks.values())]
    if len(best) == 1:
        person.preferences += 1
        person.first_preferred += int(best[0]) == row["order"][0]


def _count_agreement(people: dict[int, Person], votes: Sequence[Mapping[str, Any]]) -> None:
    earned: dict[int, list[float]] = defaultdict(list)
    for number, one in enumerate(votes):
        for other in votes[:number]:
            points = list(credits(one["ranks"], other["ranks"]))
            earned[one["annotator"]] += points
            earned[other["annotator"]] += points
    for annotator, points in earned.items():
        people[annotator].credit += sum(points)
        people[annotator].pairs += len(points)
