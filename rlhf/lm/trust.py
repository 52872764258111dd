"""Whom to ask: what is believed of each annotator's η, and who comes out best in a draw of it.

A draw for each question (Thompson sampling) lets people whom nobody knows yet be asked about as often as they
may be the best, and asks the careless less and less. Who answers the opposite (η near 0) is not asked
either: a model would learn from them, but the judgments are exported too.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.special import logit

from rlhf.lm.reliability import reliability_errors
from rlhf.lm.reward_heads import Heads, PairArrays

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

SHARPER = 0.5
"""Of the standard error, in a draw: less exploring finds the careful sooner (Chapelle and Li 2011, "posterior
reshaping"; docs/LOG.md)."""


@dataclass(frozen=True)
class Trust:
    """Logit η of each annotator, as a mean with its standard error. Shapes: (A,), (A,)."""

    mean: Floats
    error: Floats

    def draw(self, count: int, rng: np.random.Generator) -> Floats:
        """Logit η of everybody, drawn anew for each of `count` questions. Shape: (count, A)."""
        drawn: Floats = rng.normal(self.mean, SHARPER * self.error, size=(count, len(self.mean)))
        return drawn


def trust_in(heads: Heads, scores: Floats, votes: PairArrays, *, ties: str, strength: str) -> Trust:
    """As the heads have learned it; `scores` are their means of what was voted on. Shape: (C,)."""
    errors = reliability_errors(heads, scores, votes, ties=ties, strength=strength)
    return Trust(logit(heads.reliability.mean(0)), errors)


def put_to(trust: Trust, count: int, rng: np.random.Generator, *, among: int = 1) -> Ints:
    """Whom each question is put to: any of the `among` best in its draw alike. Shape: (count,)."""
    best_first = np.argsort(-trust.draw(count, rng), axis=1)
    people: Ints = best_first[np.arange(count), rng.integers(among, size=count)]
    return people
