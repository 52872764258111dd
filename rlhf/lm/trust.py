"""Whom to ask: who comes out best in a draw of what is believed of each annotator's η.

A draw for each question (Thompson sampling) lets people whom nobody knows yet be asked about as often as they
may be the best, and asks the careless less and less. Who answers the opposite (η near 0) is not asked
either: a model would learn from them, but the judgments are exported too.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

AVERAGED = 4
"""Draws from the posterior whose mean is one draw here. That halves its spread: less exploring finds the
careful sooner (Chapelle and Li 2011, "posterior reshaping"; docs/LOG.md)."""


def put_to(draws: Floats, count: int, rng: np.random.Generator, *, among: int = 1) -> Ints:
    """Whom each question is put to: any of the `among` best in its draw alike. Shape: (count,).

    `draws` (S, A) are of everybody's η together, from the posterior. Who draws alike is taken in any order.
    """
    drawn = draws[rng.integers(len(draws), size=(count, AVERAGED))].mean(1)  # (count, A)
    best_first = np.lexsort((rng.random(drawn.shape), -drawn), axis=-1)
    people: Ints = best_first[np.arange(count), rng.integers(among, size=count)]
    return people
