"""What a reward model reads of a set of judged pairs: for the benchmarks that train on such sets."""

from __future__ import annotations

import sys

import numpy as np
from preference_sets import PreferenceSet

from rlhf.lm.data import Task
from rlhf.lm.features import Features

AT_ONCE = 64


def read_responses(one: PreferenceSet, features: Features) -> np.ndarray:
    """The features of all responses, of pair n in rows 2n and 2n + 1; progress on stderr. Shape: (2N, D)."""
    items = [(Task(id=p.group, text=p.prompt), text) for p in one.pairs for text in (p.first, p.second)]
    parts = []
    for start in range(0, len(items), AT_ONCE):
        parts.append(features.of(items[start : start + AT_ONCE]))
        done = min(start + AT_ONCE, len(items))
        print(f"\r{one.name}: {done} of {len(items)} responses", end="", file=sys.stderr)
    print(file=sys.stderr)
    return np.concatenate(parts).astype(np.float64)


def standardised(values: np.ndarray, seen: np.ndarray) -> np.ndarray:
    """Columns with mean 0 and standard deviation 1 over the rows that are seen; constant ones 0 there."""
    scale = values[seen].std(0)
    found: np.ndarray = (values - values[seen].mean(0)) / np.where(scale > 1e-6, scale, 1.0)
    return found
