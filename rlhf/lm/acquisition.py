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

RANDOM, THOMPSON, VARIANCE, BALD = "random", "thompson", "variance", "bald"
D_OPTIMAL, BY_HEADS = "d-optimal", "d-optimal-heads"
DESIGNED = 500
"""Open comparisons that a design puts in order, before those to come are asked anyway."""
RULES = (RANDOM, THOMPSON, VARIANCE, BALD, D_OPTIMAL, BY_HEADS)


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


class Design:
    """Pairs, and how much each that is taken would enlarge log det of the Fisher information.

    That is of the Bradley-Terry model: p(1-p) x xᵀ a pair, x its difference of features. Shapes:
    differences (N, D), chances (N,), information (D, D) of what was asked before, prior included.
    `gains` (N,) are p(1-p) xᵀ I⁻¹ x: log det grows by log (1 + gain).
    """

    def __init__(self, differences: Floats, chances: Floats, information: Floats) -> None:
        self.differences = differences
        self.weights = chances * (1 - chances)
        self.projected: Floats = differences @ np.linalg.inv(information)
        self.gains: Floats = self.weights * np.einsum("nd,nd->n", self.projected, differences)

    def take(self, pair: int) -> None:
        """Its answer will be known: the gains of what is like it fall (Sherman and Morrison). O(N D)."""
        step = self.projected[pair] * np.sqrt(
            self.weights[pair] / (1 + self.weights[pair] * self.projected[pair] @ self.differences[pair])
        )
        along = self.differences @ step
        self.projected = self.projected - along[:, None] * step
        self.gains = self.gains - self.weights * along**2


def d_optimal(differences: Floats, chances: Floats, information: Floats, count: int) -> list[int]:
    """The pairs, one after the other, that most enlarge log det. Shapes as of `Design`. O(count N D)."""
    design = Design(differences, chances, information)
    chosen: list[int] = []
    for _ in range(min(count, len(differences))):
        chosen.append(int(np.argmax(design.gains)))
        design.take(chosen[-1])
        design.gains[chosen] = -np.inf
    return chosen


def by_heads(first: Floats, second: Floats) -> Floats:
    """Pairs as the heads see them: Δ less its mean over heads, so scaled that what is known is the identity.

    Heads w_k are draws of w, whose covariance they put at AAᵀ, A = (w_k - mean)ₖ / √(K-1). As log det
    ((AAᵀ)⁻¹ + Σ p(1-p) xxᵀ) and log det (I + Σ p(1-p) zzᵀ) with z = Aᵀx differ by a constant, `d_optimal` of
    these z with I as information is D-optimal for the features, and needs none of them. Shape: (N, K).
    """
    differences = first - second
    seen: Floats = differences - differences.mean(1, keepdims=True)
    seen /= np.sqrt(max(differences.shape[1] - 1, 1))
    return seen


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
    for rule, value in MEASURES.items():
        _place(places, kinds == rule, value(first, second))
    _place(places, kinds == THOMPSON, thompson(first, second, rng))
    designed = kinds == BY_HEADS
    values = np.zeros(len(kinds))
    values[designed] = _designed(first[designed], second[designed])
    _place(places, designed, values)
    return 1 - places * (1 - 1e-6)


def _designed(first: Floats, second: Floats) -> Floats:
    """The order of a D-optimal design by heads; those after the first `DESIGNED` as they then gain. (N,)."""
    seen = by_heads(first, second)
    design = Design(seen, probabilities(first, second).mean(1), np.eye(seen.shape[1]))
    values = np.zeros(len(seen))
    for place in range(min(DESIGNED, len(seen))):
        best = int(np.argmax(design.gains))
        design.take(best)
        values[best], design.gains[best] = DESIGNED - place, -np.inf
    rest = np.isfinite(design.gains)
    values[rest] = design.gains[rest] / (1 + design.gains[rest])  # below 1, in the same order
    return values


def _place(places: Floats, chosen: npt.NDArray[np.bool_], values: Floats) -> None:
    """The random places of the chosen ones, dealt out anew by value: the best gets the first of them."""
    where = np.flatnonzero(chosen)
    best_first = where[np.argsort(-values[where], kind="stable")]
    places[best_first] = np.sort(places[where])


def _entropy(chance: Floats) -> Floats:
    p = np.clip(chance, 1e-12, 1 - 1e-12)
    entropy: Floats = -p * np.log(p) - (1 - p) * np.log1p(-p)
    return entropy
