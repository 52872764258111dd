"""Where a reward model is right and where not: domain, language, length, strength; what it contradicts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.special import expit

from rlhf.lm.data import Task
from rlhf.lm.metrics import Interval, bootstrap_mean, pair_credits
from rlhf.lm.pairs import Pair

Floats = npt.NDArray[np.float64]

SMALL = 30
"""Fewer pairs than this say little: the slice is marked, not hidden."""
CLIPPED = 400
"""Characters of a text that are kept with a contradiction."""
LENGTH_EDGES = (50, 100, 200, 400)
"""Characters of the two texts' mean length at which a bucket ends."""


@dataclass(frozen=True)
class Slice:
    """The pairs that have something in common, and the share of them ordered as people did."""

    by: str  # domain, language, length, strength or preferred
    name: str  # "" where a pair's strength was not said, or neither text was preferred or longer
    pairs: int
    accuracy: Interval
    is_small: bool


@dataclass(frozen=True)
class Contradiction:
    """A judgment, and how far the scores go against its worst contradicted pair (above 0)."""

    judgment_id: str
    task_id: str
    margin: float
    probability: float
    """What the model gave to the text that was preferred: below one half."""
    annotator: str
    preferred: str
    other: str
    strength: int | None
    simulated: bool


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
            "preferred": preferred(pair),
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


def preferred(pair: Pair) -> str:
    """Whether the longer or the shorter text was preferred; "" for a tie or texts of one length."""
    longer = (len(pair.first) - len(pair.second)) * (pair.outcome - 0.5)
    return "" if longer == 0 else "longer" if longer > 0 else "shorter"


def contradicted(
    pairs: Sequence[Pair], margins: Floats, *, temperature: float = 1.0, most: int = 20
) -> list[Contradiction]:
    """The judgments that margins (P,) go against most, the furthest first; ties contradict nothing."""
    worst: dict[tuple[str, str], tuple[float, Pair]] = {}
    for pair, margin in zip(pairs, margins.tolist(), strict=True):
        against = -margin * (2 * pair.outcome - 1)
        key = (pair.judgment_id, pair.task_id)
        if against > 0 and (key not in worst or against > worst[key][0]):
            worst[key] = (against, pair)
    ordered = sorted(worst.items(), key=lambda item: (-item[1][0], item[0]))
    return [_contradiction(pair, against, temperature) for _, (against, pair) in ordered[:most]]


def _contradiction(pair: Pair, against: float, temperature: float) -> Contradiction:
    first_won = pair.outcome > 0.5
    return Contradiction(
        judgment_id=pair.judgment_id,
        task_id=pair.task_id,
        margin=against,
        probability=float(expit(-against / temperature)),
        annotator=pair.annotator,
        preferred=_clip(pair.first if first_won else pair.second),
        other=_clip(pair.second if first_won else pair.first),
        strength=pair.strength,
        simulated=pair.simulated,
    )


def _clip(text: str) -> str:
    return text if len(text) <= CLIPPED else text[: CLIPPED - 1] + "…"
