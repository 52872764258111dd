"""How much an answer to a comparison would teach, by what an ensemble of heads says of its two completions.

All are of many pairs at once, with head scores (N, K) of the first and the second completion; higher is more
worth asking. None of them looks at who would answer.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from scipy.special import expit

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

RANDOM, THOMPSON, VARIANCE, BALD, D_OPTIMAL = "random", "thompson", "variance", "bald", "d-optimal"
RULES = (RANDOM, THOMPSON, VARIANCE, BALD, D_OPTIMAL)


def probabilities(first: Floats, second: Floats) -> Floats:
    """σ(Δ) by each head. Shapes: (N, K), (N, K) -> (N, K)."""
    chance: Floats = expit(first - second)
    return chance


def variance(first: Floats, second: Floats) -> Floats:
    """Variance of σ(Δ) over heads: how far they differ about the answer. Shape: (N,)."""
    spread: Floats = probabilities(first, second).var(1)
    return spread


def bald(first: Floats, second: Floats) -> Floats:
    """Mutual information of the answer and the head, in nats (Houlsby et al. 2011, arXiv 1112.5745)."""
    chance = probabilities(first, second)
    gained: Floats = np.maximum(_entropy(chance.mean(1)) - _entropy(chance).mean(1), 0.0)
    return gained


MEASURES = {VARIANCE: variance, BALD: bald}
"""The rules that value each pair by itself."""


def thompson(first: Floats, second: Floats, rng: np.random.Generator) -> Floats:
    """How high two heads, drawn anew for each pair, rank its completions: double Thompson on given pairs."""
    n, heads = first.shape
    drawn = rng.integers(heads, size=(2, n))
    value: Floats = first[np.arange(n), drawn[0]] + second[np.arange(n), drawn[1]]
    return value


def d_optimal(differences: Floats, chances: Floats, information: Floats, count: int) -> list[int]:
    """The pairs, one after the other, that most enlarge log det of the Fisher information.

    Of the Bradley-Terry model: p(1-p) x xᵀ a pair, x its difference of features. Shapes: differences
    (N, D), chances (N,), information (D, D) of what was asked before, prior included. O(count N D).
    """
    inverse = np.linalg.inv(information)
    weights = chances * (1 - chances)
    projected = differences @ inverse  # (N, D), kept up to date by Sherman and Morrison's formula
    gains = weights * np.einsum("nd,nd->n", projected, differences)
    chosen: list[int] = []
    for _ in range(min(count, len(differences))):
        best = int(np.argmax(gains))
        chosen.append(best)
        step = projected[best] * np.sqrt(weights[best] / (1 + gains[best]))
        along = differences @ step
        projected = projected - along[:, None] * step
        gains = gains - weights * along**2
        gains[chosen] = -np.inf
    return chosen


def diverse(values: Floats, tasks: Ints, count: int) -> list[int]:
    """The most valuable, but a task's second only when every task has had its first, and so on."""
    order = np.argsort(-values, kind="stable")
    _, index = np.unique(tasks[order], return_inverse=True)
    turn = np.zeros(len(order), dtype=np.int64)
    seen = np.zeros(int(index.max()) + 1 if len(index) else 0, dtype=np.int64)
    for place, task in enumerate(index):
        turn[place] = seen[task]
        seen[task] += 1
    return [int(n) for n in order[np.argsort(turn, kind="stable")][:count]]


def priorities(first: Floats, second: Floats, rules: Sequence[str], *, seed: int = 0) -> Floats:
    """What each open comparison should now come in at, in (0, 1]: its rank by the rule that chose it.

    A pair chosen at random, or by a rule that is not of this module, gets a random place. So the unbiased
    stream stays where it was among the others. Shapes: (N, K), (N, K), N rules -> (N,).
    """
    rng = np.random.default_rng(seed)
    kinds = np.array(rules)
    places = rng.random(len(kinds))
    for rule, value in (MEASURES | {D_OPTIMAL: bald}).items():
        _place(places, kinds == rule, value(first, second))
    _place(places, kinds == THOMPSON, thompson(first, second, rng))
    return 1 - places * (1 - 1e-6)


def _place(places: Floats, chosen: npt.NDArray[np.bool_], values: Floats) -> None:
    """The random places of the chosen ones, dealt out anew by value: the best gets the first of them."""
    where = np.flatnonzero(chosen)
    best_first = where[np.argsort(-values[where], kind="stable")]
    places[best_first] = np.sort(places[where])


def _entropy(chance: Floats) -> Floats:
    p = np.clip(chance, 1e-12, 1 - 1e-12)
    entropy: Floats = -p * np.log(p) - (1 - p) * np.log1p(-p)
    return entropy
