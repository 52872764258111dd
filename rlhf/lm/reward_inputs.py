"""What the heads of a reward model read: features of completions, and what is to become of their length."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from rlhf.lm.features import Item, Matrix
from rlhf.lm.inputs import LengthRemoval, length_powers
from rlhf.lm.metrics import pair_credits
from rlhf.lm.reward_heads import PairArrays

Floats = npt.NDArray[np.float64]

LENGTHS = ("as_is", "given", "balanced", "removed")
STRATA = 3  # in which pairs are balanced
LENGTH_L2 = 1.0  # the length covariate is one number among many: it is not to be shrunk like them


def raw_inputs(features: Matrix, items: Sequence[Item], *, length: str) -> Floats:
    """The features, then log-length where it is given, or its first three powers where it is removed."""
    inputs = features.astype(np.float64)
    if length not in LENGTHS:
        raise ValueError(f"unknown use of length {length!r}; there are {', '.join(LENGTHS)}")
    if length in ("as_is", "balanced"):
        return inputs
    powers = length_powers(lengths_of(items))
    return np.concatenate([inputs, powers[:, :1] if length == "given" else powers], axis=1)


def balanced(pairs: PairArrays, lengths: Floats, *, strata: int = STRATA) -> PairArrays:
    """The pairs weighed so that the longer one wins half of the time: then a model gains nothing by length.

    First in each stratum of the pairs by the ratio of lengths (or much longer texts would still win more
    often, and a little longer ones less), then over all, for strata in which one side wins every pair and
    nothing can be balanced. `lengths` are of the rows.
    """
    weights = pairs.weights if len(pairs.weights) else np.ones(len(pairs))
    wins = pair_credits(lengths[pairs.first] - lengths[pairs.second], pairs.outcomes)
    ratios = np.abs(np.log1p(lengths[pairs.first]) - np.log1p(lengths[pairs.second]))
    told = (wins == 1) | (wins == 0)
    if not told.any():
        return pairs
    stratum = np.digitize(ratios, np.quantile(ratios[told], np.arange(1, strata) / strata))
    found = weights.copy()
    for chosen in (*((stratum == number) for number in range(strata)), told):
        sides = [(wins == side) & chosen for side in (1, 0)]
        won, lost = (float(found[side].sum()) for side in sides)
        if won and lost and won != lost:
            for side, whole in zip(sides, (won, lost), strict=True):
                found[side] *= (won + lost) / (2 * whole)
    return pairs if (found == weights).all() else replace(pairs, weights=found)


def lengths_of(items: Sequence[Item]) -> Floats:
    """In characters."""
    return np.array([len(text) for _, text in items], dtype=np.float64)


@dataclass(frozen=True)
class Standardiser:
    """Brings raw inputs to one scale for fitting, and fitted weights back to raw inputs.

    `centre` and `scale` are of the raw inputs, those of length with them. Both have shape (D,).
    """

    centre: Floats
    scale: Floats
    removal: LengthRemoval | None

    @classmethod
    def fit(
        cls, raw: Floats, items: Sequence[Item], *, column_scales: Floats, length: str, l2: float
    ) -> Standardiser:
        """By the training completions. `column_scales` are those of the features (inputs.py)."""
        width = len(column_scales)
        centre, scale = raw.mean(0), raw.std(0)
        removal = None
        if length == "removed":
            removal = LengthRemoval.fit(raw[:, :width], lengths_of(items))
            scale[:width] = removal(raw[:, :width], lengths_of(items)).std(0)
            centre[width:], scale[width:] = removal.centre, removal.scale
        scale = np.where(scale > 1e-6, scale, 1.0)
        scale[:width] /= column_scales  # or one penalty would silence the narrow inputs
        if length == "given":
            scale[-1] /= np.sqrt(l2 / LENGTH_L2)
        return cls(centre, scale, removal)

    def standard(self, raw: Floats, items: Sequence[Item]) -> Floats:
        """What heads are fitted to; where length is removed it has no columns for it."""
        if self.removal is None:
            return (raw - self.centre) / self.scale
        width = self.removal.weights.shape[1]
        return self.removal(raw[:, :width], lengths_of(items)) / self.scale[:width]

    def weights(self, fitted: Floats) -> Floats:
        """From weights of `standard` (K, D') to weights of (raw - centre) / scale (K, D).

        Scores change by a constant of each head.
        """
        if self.removal is None:
            return fitted
        width = self.removal.weights.shape[1]
        taken = fitted / self.scale[:width] @ self.removal.weights[:-1].T  # (K, 3)
        return np.concatenate([fitted, -self.removal.share * taken], axis=1)
