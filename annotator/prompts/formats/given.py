"""Completions and preferences that come with a row, put in order: nothing empty, nothing twice.

A completion that is empty or repeats another has no place in a comparison. It is left out together with what
was said about it; a preference that then says nothing any more goes too, and all of it is named.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from annotator.prompts import fields
from annotator.prompts.fields import FieldProblem
from annotator.prompts.records import GivenCompletion, GivenRanking, Record

MAX_COMPLETIONS = 100


@dataclass
class Given:
    """Collects a row's completions and preferences; `result` has what is left of them."""

    names: list[str] = field(default_factory=list)
    texts: list[str] = field(default_factory=list)
    sources: list[str] = field(default_factory=list)
    rankings: list[GivenRanking] = field(default_factory=list)

    def completion(self, name: str, value: Any, source: str = "") -> int:
        """Add one, under the name of its field; its index. Raises FieldProblem."""
        if len(self.texts) >= MAX_COMPLETIONS:
            raise FieldProblem(name, f"is one completion too many; {MAX_COMPLETIONS} are the most.")
        self.names.append(name)
        self.texts.append(fields.written(name, value))
        self.sources.append(source[:200])
        return len(self.texts) - 1

    def ranking(
        self, ranks: Sequence[int], *, strength: int | None = None, annotator: str = "", source: str = ""
    ) -> None:
        """Add a preference: a rank for each completion in the order they were added, 0 for none."""
        self.rankings.append(GivenRanking(tuple(ranks), strength, annotator[:150], source[:200]))

    def result(self) -> tuple[tuple[GivenCompletion, ...], tuple[GivenRanking, ...], tuple[str, ...]]:
        """Completions, preferences, and the names of what was left out."""
        kept: dict[str, int] = {}  # by text, white space aside
        places: list[int | None] = []  # of each completion among those that are kept
        left_out = []
        for name, text in zip(self.names, self.texts, strict=True):
            key = " ".join(text.split())
            if not key:
                left_out.append(f"{name} (empty)")
                places.append(None)
                continue
            if key in kept:
                left_out.append(f"{name} (repeated)")
            places.append(kept.setdefault(key, len(kept)))
        first = [places.index(place) for place in range(len(kept))]
        completions = tuple(GivenCompletion(self.texts[n], self.sources[n]) for n in first)
        rankings = []
        for ranking in self.rankings:
            ranks = _reduced(ranking.ranks, places, len(kept))
            if sum(rank > 0 for rank in ranks) > 1:
                rankings.append(replace(ranking, ranks=ranks))
            else:
                left_out.append("preference (of fewer than two texts)")
        return completions, tuple(rankings), tuple(left_out)


def in_order(record: Record) -> Record:
    """The record with its completions put in order again, once their texts have changed."""
    given = Given(
        [f"completions[{place}]" for place in range(1, len(record.completions) + 1)],
        [completion.text for completion in record.completions],
        [completion.source for completion in record.completions],
        list(record.preferences),
    )
    completions, preferences, left_out = given.result()
    return replace(
        record, completions=completions, preferences=preferences, ignored=(*record.ignored, *left_out)
    )


def _reduced(ranks: Sequence[int], places: Sequence[int | None], count: int) -> tuple[int, ...]:
    """The ranks of the completions that are kept; 0 where two of one text were ranked differently."""
    found: list[set[int]] = [set() for _ in range(count)]
    for rank, place in zip(ranks, places, strict=True):
        if place is not None and rank:
            found[place].add(rank)
    return dense([ranked.pop() if len(ranked) == 1 else 0 for ranked in found])


def dense(ranks: Iterable[int]) -> tuple[int, ...]:
    """The same order with the numbers 1, 2, 3 … and no gap; 0 stays 0.

    >>> dense([4, 2, 0, 4])
    (2, 1, 0, 2)
    """
    given = list(ranks)
    order = {rank: place for place, rank in enumerate(sorted({rank for rank in given if rank > 0}), start=1)}
    return tuple(order.get(rank, 0) for rank in given)


def by_score(scores: Sequence[float | None]) -> tuple[int, ...]:
    """Ranks from scores, of which more is better; equal scores tie, None is not ranked.

    >>> by_score([7.0, None, 8.5, 7.0])
    (2, 0, 1, 2)
    """
    order = sorted({score for score in scores if score is not None}, reverse=True)
    places = {score: place for place, score in enumerate(order, start=1)}
    return tuple(0 if score is None else places[score] for score in scores)
