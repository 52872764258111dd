"""Where a reward model is right and where not: by domain, language, length, strength; what it contradicts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from rlhf.lm.data import Task
from rlhf.lm.metrics import Interval, bootstrap_mean, pair_credits
from rlhf.lm.pairs import Pair

Floats = npt.NDArray[np.float64]

SMALL = 30
"""Fewer pairs than this say little: the slice is marked, not hidden."""
LENGTH_EDGES = (50, 100, 200, 400)
"""Characters of the two texts' mean length at which a bucket ends."""


@dataclass(frozen=True)
class Slice:
    """The pairs that have something in common, and the share of them ordered as people did."""

    by: str  # domain, language, length or strength
    name: str  # "" where a pair's strength was not said
    pairs: int
    accuracy: Interval
    is_small: bool


@dataclass(frozen=True)
class Contradiction:
    """A judgment, and how far the scores go against its worst contradicted pair (above 0)."""

    judgment_id: str
    task_id: str
    margin: float


def slices(
    pairs: Sequence[Pair], margins: Floats, tasks: Mapping[str, Task], *, resamples: int, seed: int
) -> list[Slice]:
    """Accuracy of margins (P,) in every slice of the pairs; intervals by resampling tasks."""
    credits = pair_credits(margins, [pair.outcome for pair in pairs])
    members: dict[tuple[str, str], list[int]] = {}
    for n, pair in enumerate(pairs):
        task = tasks[pair.task_id]
        names = {
            "domain": task.domain,
            "language": task.language,
            "length": length_bucket((len(pair.first) + len(pair.second)) / 2),
            "strength": "" if pair.strength is None else str(pair.strength),
        }
        for key in names.items():
            members.setdefault(key, []).append(n)
    return [
        Slice(
            by=by,
            name=name,
            pairs=len(chosen),
            accuracy=bootstrap_mean(
                credits[chosen], [pairs[n].task_id for n in chosen], resamples=resamples, seed=seed
            ),
            is_small=len(chosen) < SMALL,
        )
        for (by, name), chosen in members.items()
    ]


def length_bucket(length: float) -> str:
    """The bucket of a length in characters, such as "50-99"; the last is "400+"."""
    low = 0
    for edge in LENGTH_EDGES:
        if length < edge:
            return f"{low}-{edge - 1}"
        low = edge
    return f"{low}+"


def contradicted(pairs: Sequence[Pair], margins: Floats, *, most: int = 20) -> list[Contradiction]:
    """The judgments that margins (P,) go against most, the furthest first; ties contradict nothing."""
    worst: dict[tuple[str, str], float] = {}
    for pair, margin in zip(pairs, margins.tolist(), strict=True):
        against = -margin * (2 * pair.outcome - 1)
        key = (pair.judgment_id, pair.task_id)
        if against > worst.get(key, 0.0):
            worst[key] = against
    ordered = sorted(worst.items(), key=lambda item: (-item[1], item[0]))
    return [Contradiction(*key, margin=margin) for key, margin in ordered[:most]]
