"""Best-of-n: write n candidates for each completion wanted, keep those that the reward model scores highest.

No weight changes. The score is pessimistic, mean - λ·std over the heads, since the highest of many scores is
where a reward model errs upwards (Coste et al. 2024, arXiv 2310.02743). KL to the generator: `kl_bound`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TypeVar

import numpy as np
import numpy.typing as npt

Candidate = TypeVar("Candidate")
Floats = npt.NDArray[np.float64]


def pessimistic(means: Floats, stds: Floats, pessimism: float) -> Floats:
    """mean - λ·std over the heads. Shapes: (N,), (N,) -> (N,)."""
    value: Floats = means - pessimism * stds
    return value


def best(candidates: Sequence[Candidate], scores: Sequence[float] | Floats, *, keep: int) -> list[Candidate]:
    """The `keep` that score highest, best first; of equals the earlier. Raises ValueError."""
    if len(candidates) != len(scores):
        raise ValueError(f"{len(candidates)} candidates, but {len(scores)} scores")
    order = np.argsort(-np.asarray(scores, dtype=np.float64), kind="stable")
    return [candidates[place] for place in order[:keep]]


def kl_bound(n: int) -> float:
    """log n - (n - 1)/n: the most that best-of-n diverges from the generator, in nats a completion.

    Beirami et al. 2024, arXiv 2401.01879; it is reached where no two candidates are ever the same.
    """
    return math.log(n) - (n - 1) / n
