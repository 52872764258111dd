"""Comparisons of imported completions: which belong together, and how they are stored."""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator, Sequence

from annotator.models import Comparison, Project, Slot


def comparison_of(
    project: Project, prompt_id: int, completion_ids: Iterable[int], rule: str, iteration: int
) -> Comparison:
    """An unsaved comparison of these completions."""
    return Comparison(
        project=project,
        prompt_id=prompt_id,
        completions_key=key_of(completion_ids),
        rule=rule,
        iteration=iteration,
    )


def insert(rows: Sequence[tuple[Comparison, Sequence[int]]]) -> None:
    """Store comparisons with their completions' places."""
    Comparison.objects.bulk_create([row for row, _ in rows])
    Slot.objects.bulk_create(
        Slot(comparison=row, completion_id=pk, position=position)
        for row, pks in rows
        for position, pk in enumerate(pks, start=1)
    )


def chain(ids: list[int], k: int, *, seed: int) -> Iterator[tuple[int, ...]]:
    """Groups of k in which every id occurs and which hang together: each shares one id with the next."""
    if len(ids) < 2:
        return
    ring = random.Random(seed).sample(ids, len(ids))
    if len(ring) <= k:
        yield tuple(ring)
        return
    for start in range(0, len(ring), k - 1):
        yield tuple(ring[(start + step) % len(ring)] for step in range(k))


def key_of(completion_ids: Iterable[int]) -> str:
    """What names a set of completions."""
    return ",".join(map(str, sorted(completion_ids)))
