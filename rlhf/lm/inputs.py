"""The named inputs of a reward model: how wide each is, where it stands, and how length is taken out of them.

Every input of a completion is a group of columns that can be switched on and off. docs/LOG.md says which
were tried on judgments of people, and which were not.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from rlhf.lm.covariates import EXECUTION, LIKELIHOOD, TEXT
from rlhf.lm.style import STYLE

Floats = npt.NDArray[np.float64]

# Where a state of the generator is read (share of its layers) and how it is pooled over the completion.
STATES = {
    "mean": (0.5, "mean"),
    "max": (0.5, "max"),
    "mean_deep": (0.6, "mean"),
    "max_deep": (0.75, "max"),
    "end": (0.6, "end"),  # on the token that ends its turn
    "mean_final": (1.0, "mean"),
    "last_final": (1.0, "last"),
}
ENCODED = ("encoder", "encoder_mean", "encoder_max")
NAMES = (*STATES, "likelihood", *ENCODED, "text", "style", "execution")
"""All inputs, in the order in which they stand in a row."""
DEFAULT = ("mean", "max", "likelihood", *ENCODED, "text", "execution")
"""What a reward model reads unless told otherwise, as far as the models for it are given."""
GENERATOR = frozenset({*STATES, "likelihood", "execution"})
COUNTED = {
    "likelihood": len(LIKELIHOOD),
    "text": len(TEXT),
    "style": len(STYLE),
    "execution": len(EXECUTION),
}


def chosen(names: Sequence[str] | None, *, lm: bool, encoder: bool) -> tuple[str, ...]:
    """The inputs in their order: those named, or by default those that the models at hand can give.

    Raises ValueError for an unknown name, one whose model is missing, and for no input at all.
    """
    given = {name: (lm or name not in GENERATOR) and (encoder or name not in ENCODED) for name in NAMES}
    if names is None:
        names = [name for name in DEFAULT if given[name]]
    for name in names:
        if name not in given:
            raise ValueError(f"unknown input {name!r} of a reward model; there are {', '.join(NAMES)}")
        if not given[name]:
            kind = "a language model" if name in GENERATOR else "an encoder"
            raise ValueError(f"the input {name!r} needs {kind}")
    if not names:
        raise ValueError("a reward model needs at least one input")
    return tuple(name for name in NAMES if name in names)


def named(text: str) -> tuple[str, ...] | None:
    """The names in a text with commas between them; None, which stands for the default, if there are none."""
    return tuple(name.strip() for name in text.split(",")) if text else None


def groups(names: Sequence[str], *, hidden: int, encoder: int) -> dict[str, slice]:
    """Which columns each input has, for a generator and an encoder of these widths."""
    found, start = {}, 0
    for name in names:
        if name in STATES:
            width = hidden
        elif name in ENCODED:
            width = encoder
        else:
            width = COUNTED[name]
        found[name] = slice(start, start + width)
        start += width
    return found


def column_scales(parts: Mapping[str, slice], *, weights: Mapping[str, float] | None = None) -> Floats:
    """By what to multiply standardised columns, so that one L2 penalty weighs every input alike.

    A group of n columns moves scores n times as easily as one column; the widest keeps its scale. `weights`
    say which inputs are to move scores how many times as far, by name.
    """
    sizes = {name: part.stop - part.start for name, part in parts.items()}
    widest = max(sizes.values())
    more = weights or {}
    return np.concatenate(
        [np.full(size, more.get(name, 1.0) * np.sqrt(widest / size)) for name, size in sizes.items()]
    )


@dataclass(frozen=True)
class LengthRemoval:
    """What of standardised inputs a cubic in log-length says (least squares), and how much of it to take out.

    The score stays a function of one completion, so length cannot come in by another door but one that is
    not a cubic in its logarithm. Shapes: centre and scale (3,), weights (4, D).
    """

    centre: Floats
    scale: Floats
    weights: Floats
    share: float

    @classmethod
    def fit(cls, inputs: Floats, lengths: Floats, *, share: float = 1.0) -> LengthRemoval:
        """From training completions: inputs (N, D), lengths (N,) in characters."""
        powers = length_powers(lengths)
        centre, scale = powers.mean(0), powers.std(0)
        scale = np.where(scale > 1e-6, scale, 1.0)
        design = np.c_[(powers - centre) / scale, np.ones(len(powers))]
        weights = np.asarray(np.linalg.lstsq(design, inputs, rcond=None)[0], dtype=np.float64)
        return cls(centre, scale, weights, share)

    def __call__(self, inputs: Floats, lengths: Floats) -> Floats:
        """The inputs without that part of length. Shapes: (N, D), (N,) -> (N, D)."""
        powers = (length_powers(lengths) - self.centre) / self.scale
        removed: Floats = inputs - self.share * (np.c_[powers, np.ones(len(powers))] @ self.weights)
        return removed


def length_powers(lengths: Floats) -> Floats:
    """Log-length, its square and its cube. Shape: (N,) -> (N, 3)."""
    log = np.log1p(lengths)
    return np.stack([log, log**2, log**3], axis=1)
