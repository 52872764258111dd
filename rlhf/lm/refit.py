"""Refits the heads of a saved reward model to the judgments there are now, in a fraction of a second.

The same loss and the same features as in training; what makes it fast is that everything is kept between two
refits: judgments as arrays, features in the span of the completions, turned so that the loss is about equally
curved along each column, and the last heads to start from.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from rlhf.lm.configs import RewardConfig
from rlhf.lm.data import Judgment
from rlhf.lm.features import Item
from rlhf.lm.folders import new_folder
from rlhf.lm.refit_votes import Votes
from rlhf.lm.reward_heads import Heads, PairArrays, fit_heads
from rlhf.lm.reward_inputs import balanced, raw_inputs
from rlhf.lm.reward_model import LinearHeads, RewardModel, in_their_unit, write_heads

Floats = npt.NDArray[np.float64]

CHUNK = 64
"""Texts encoded between two looks at whether to go on."""
ROUNDS = 40
"""Most rounds of five L-BFGS iterations: from nothing tens are needed, from the last heads one to three."""
SETTLED = 0.03
"""It ends when a round moved no score by more than this share of their spread. The unit itself, which trades
with the spread of the pairs' own deviations, may still drift: it is taken out in the end."""
FIRST_SETTLED = 2e-4
"""The same for heads from nothing: what they still lacked would move under every later refit."""
GROWN = 1.5
"""The basis is made anew when it has become so many times as wide: until then new columns are just added."""
PAIR_CURVATURE = 0.1
"""Of the loss by the difference of two scores, for a vote: between a coin's 1/4 and a sure thing's 0."""


@dataclass(frozen=True)
class Refitted:
    """What a refit gave; `rankings` is how many it was fitted to."""

    heads: LinearHeads
    bar: float | None
    rankings: int
    rounds: int


@dataclass(frozen=True)
class Basis:
    """Features in other coordinates: x = standard @ `back`; weights of standard features are `back` @ u.

    Columns of `back` are orthogonal, of squared length 1 / curvature: one unit of u changes the loss alike in
    each. So the penalty on weights is one of l2 / curvature on each u. Shapes: back (D, r), curvatures (r,).
    """

    back: Floats
    curvatures: Floats
    built: int  # columns when it was made; what came later is just orthogonal

    @classmethod
    def of(cls, standard: Floats, pairs: PairArrays, l2: float) -> Basis:
        """Of the span of these features (C, D), by how often which were compared."""
        width = standard.shape[1]
        span = np.eye(width) if len(standard) >= width else np.linalg.qr(standard.T)[0]  # (D, r)
        rows = standard @ span
        differences = np.zeros_like(rows)  # Laplacian of the pairs times the rows
        apart = PAIR_CURVATURE * (rows[pairs.first] - rows[pairs.second])
        np.add.at(differences, pairs.first, apart)
        np.add.at(differences, pairs.second, -apart)
        curvatures, axes = np.linalg.eigh(rows.T @ differences + l2 * np.eye(span.shape[1]))
        return cls(span @ axes / np.sqrt(curvatures), curvatures, len(curvatures))

    def widened(self, standard: Floats, l2: float) -> Basis:
        """With columns for what of these features (N, D) it does not span yet."""
        if len(self.curvatures) >= standard.shape[1] or not len(standard):
            return self
        axes = self.back * np.sqrt(self.curvatures)  # orthonormal
        rest = standard - (standard @ axes) @ axes.T
        rest = rest - (rest @ axes) @ axes.T  # once more: the first time leaves rounding errors
        _, sizes, found = np.linalg.svd(rest, full_matrices=False)
        new = found[sizes > 1e-6].T[:, : standard.shape[1] - len(self.curvatures)]  # (D, n)
        return Basis(
            np.concatenate([self.back, new / np.sqrt(l2)], 1),
            np.concatenate([self.curvatures, np.full(new.shape[1], l2)]),
            self.built,
        )

    def turned(self, weights: Floats) -> Floats:
        """Weights of standard features (K, D) in its coordinates (K, r)."""
        turned: Floats = weights @ self.back * self.curvatures
        return turned


class Refitter:
    """A saved reward model, and the judgments and features that it was shown so far."""

    def __init__(self, model: RewardModel, config: RewardConfig) -> None:
        if model.length == "removed":
            raise ValueError("what length says was taken out by a training run: only another one can do that")
        self.model = model
        self.config = config
        self.votes = Votes(config)
        self.standard: Floats = np.zeros((0, len(model.heads.centre)))  # (C, D)
        self._basis: Basis | None = None
        self._turned: Floats = np.zeros((0, 0))  # (C, r)
        self._last: Heads | None = None  # its weights are of standard features

    def show(self, items: Sequence[Item], between: Callable[[], None] = lambda: None) -> None:
        """Take the features of texts that it has not been shown, from the cache as far as they are there."""
        new = [i for i in dict.fromkeys(items) if (i[0].id, i[1]) not in self.votes.rows]
        parts = [self.standard]
        for start in range(0, len(new), CHUNK):
            chunk = new[start : start + CHUNK]
            inputs = raw_inputs(self.model.features.of(chunk), chunk, length=self.model.length)
            parts.append((inputs - self.model.heads.centre) / self.model.heads.scale)
            between()
        for task, text in new:
            self.votes.rows[task.id, text] = len(self.votes.rows)
        self.standard = np.concatenate(parts)

    def learn(self, judgments: Sequence[Judgment]) -> None:
        """Take judgments; their texts have been shown, and none of their tasks may be held out."""
        self.votes.add(judgments)

    def knows(self, judgment_id: str) -> bool:
        return judgment_id in self.votes.numbers

    def refit(self, live: Collection[str], between: Callable[[], None] = lambda: None) -> Refitted:
        """Fit to the judgments of these ids. Raises ValueError where they teach nothing."""
        pairs, orders, verdicts = self.votes.of(live)
        if not (pairs.outcomes != 0.5).any() and not (orders is not None and len(orders)):
            raise ValueError("no ranking of a training task says that one is better than another")
        if self.model.length == "balanced":
            pairs = balanced(pairs, np.array([float(len(text)) for _, text in self.votes.rows]))
        basis = self._basis_for(pairs)
        rounds = fit_heads(
            self._turned,
            pairs,
            heads=self.config.heads,
            l2=self.config.l2 / basis.curvatures,
            steps=ROUNDS * 5,
            seed=self.config.seed,
            annotators=len(self.votes.people),
            ties=self.config.ties,
            strength=self.config.strength,
            orders=orders,
            verdicts=verdicts,
            start=self._start(basis),
            importance=self.votes.importance(),
            scaled=True,
        )
        before = np.zeros((len(self.standard), self.config.heads))
        if self._last is not None:
            before = _of_spread_1(self.standard @ self._last.weights.T)
        settled = FIRST_SETTLED if self._last is None else SETTLED
        number = 0
        for fitted in rounds:
            number += 1
            after = _of_spread_1(self._turned @ fitted.weights.T)  # (C, K)
            moved = float(np.abs(after - before).max())
            before = after
            between()
            if moved <= settled:
                break
        self._last = dataclasses.replace(fitted, weights=fitted.weights @ basis.back.T)
        return self._in_its_unit(
            self._last, rankings=self.votes.count(live), rounds=number, asked=verdicts is not None
        )

    def head_scores(self, heads: LinearHeads, texts: Sequence[tuple[str, str]]) -> Floats:
        """Of texts that were shown, as (task id, text). Shape: (len(texts), K)."""
        rows = [self.votes.rows[text] for text in texts]
        scores: Floats = self.standard[rows] @ heads.weights.T - heads.offsets
        return scores

    def _basis_for(self, pairs: PairArrays) -> Basis:
        basis, l2 = self._basis, self.config.l2
        if basis is not None and len(self._turned) < len(self.standard):
            basis = basis.widened(self.standard[len(self._turned) :], l2)
        if basis is None or len(basis.curvatures) > GROWN * basis.built:
            basis = Basis.of(self.standard, pairs, l2)
        if basis is not self._basis or len(self._turned) < len(self.standard):
            self._turned = self.standard @ basis.back
            self._basis = basis
        return basis

    def _start(self, basis: Basis) -> Heads | None:
        if self._last is None:
            return None
        return dataclasses.replace(self._last, weights=basis.turned(self._last.weights))

    def _in_its_unit(self, fitted: Heads, *, rankings: int, rounds: int, asked: bool) -> Refitted:
        """As in training: over the judged texts mean 0, and within a task a standard deviation of 1."""
        judged = self.votes.judged_rows()
        raw = self.standard[judged] @ fitted.weights.T  # (N, K)
        names = list(self.votes.rows)
        heads, spread = in_their_unit(
            fitted.weights,
            self.model.heads.centre,
            self.model.heads.scale,
            raw=raw,
            tasks=[names[row][0] for row in judged],
        )
        bar = float((fitted.bar / spread - heads.offsets).mean()) if asked else None
        return Refitted(heads, bar, rankings, rounds)


def _of_spread_1(scores: Floats) -> Floats:
    """Scores (C, K) in units of the spread of their mean."""
    scaled: Floats = scores / (float(scores.mean(1).std()) or 1.0)
    return scaled


def save(folder: Path, model: RewardModel, config: RewardConfig, refitted: Refitted, **fields: Any) -> None:
    """As a reward checkpoint that `RewardModel.load` reads, in place of what stood there; at once or not."""
    with new_folder(folder, replace=True) as aside:
        fields |= {"temperature": model.temperature, "bar": refitted.bar, "rankings": refitted.rankings}
        write_heads(aside, refitted.heads, model.features, config, **fields)
