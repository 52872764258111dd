"""The votes that agreement and reliability are computed from: one pass over them, a comparison at a time."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby
from typing import Any

from annotator.models import Project, Ranking, Verdict


@dataclass(frozen=True, slots=True)
class Vote:
    """One annotator's order of a comparison's completions."""

    annotator: int
    ranks: dict[str, int]
    strength: int | None
    is_simulated: bool
    at: datetime


@dataclass(frozen=True, slots=True)
class Judged:
    """A comparison that at least two annotators have ordered."""

    prompt: int
    domain: str
    language: str
    iteration: int
    votes: list[Vote]


def judged_comparisons(
    project: Project, *, simulated: bool | None = None, imported: bool = False
) -> Iterator[Judged]:
    """The comparisons with two votes and more, those of a prompt behind each other.

    Gold questions, repeats and a manager's decisions are no votes of their own. With `simulated` only
    (True) or no (False) simulated annotators count. Votes that files brought are not this project's people's
    and do not count; with `imported` they alone do.
    """
    rankings = Ranking.objects.live().filter(
        comparison__project=project,
        comparison__is_queued=True,
        comparison__judgments_taken__gte=2,  # where there can be two votes at all
        is_adjudication=False,
        verdict=Verdict.RANKED,
        batch__isnull=not imported,
    )
    if simulated is not None:
        rankings = rankings.filter(is_simulated=simulated)
    rows = rankings.order_by("comparison__prompt", "comparison", "pk").values_list(
        "comparison",
        "comparison__prompt",
        "comparison__prompt__domain",
        "comparison__prompt__language",
        "comparison__iteration",
        "annotator",
        "ranks",
        "strength",
        "is_simulated",
        "created_at",
    )
    for _, group in groupby(rows.iterator(chunk_size=2000), key=lambda row: row[0]):
        found: list[Any] = list(group)
        if len(found) > 1:
            _comparison, prompt, domain, language, iteration, *_rest = found[0]
            yield Judged(prompt, domain, language, iteration, [Vote(*row[5:]) for row in found])
