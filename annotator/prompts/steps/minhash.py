"""Shingles of texts, and MinHash signatures of them (Broder 1997), in numpy.

The shingles are word triples, or four characters in scripts that put no spaces between words. Case,
punctuation and white space make no difference. Two texts are as alike as their sets of shingles: Jaccard's
index, the size of what they share over the size of what they have in all. Signatures agree in that share of
their places, give or take; `bands` cuts them so that alike texts have at least one band in common.
"""

from __future__ import annotations

import re
import zlib

import numpy as np
from numpy.typing import NDArray

WORDS, CHARACTERS = 3, 4
"""In a shingle."""
PLACES = 128
"""Of a signature."""
RECALL = 0.995
"""The chance that `band_rows` aims at, of two texts at the threshold to have a band in common."""
UNSPACED_SHARE = 0.2

Hashes = NDArray[np.uint32]
Keys = NDArray[np.uint64]

_WORD = re.compile(r"[^\W_]+")
_UNSPACED = re.compile(r"[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3041-\u30fa\u3400-\u9fff\uf900-\ufaff]")
_RANDOM = np.random.default_rng(1997)
# Odd multipliers: h(x) = (a x + b mod 2^64) / 2^32 is universal (Dietzfelbinger 1996), and needs no division.
_A = _RANDOM.integers(0, 1 << 63, PLACES, dtype=np.uint64) * np.uint64(2) + np.uint64(1)
_B = _RANDOM.integers(0, 1 << 63, PLACES, dtype=np.uint64)
_MIX = _RANDOM.integers(0, 1 << 63, 64, dtype=np.uint64) * np.uint64(2) + np.uint64(1)
_HALF = np.uint64(32)
_AT_A_TIME = 4096


def shingles(text: str, *, words: int = WORDS, characters: int = CHARACTERS) -> Hashes:
    """The text's shingles as hashes, sorted, each once; a text shorter than a shingle is a single one."""
    found = _WORD.findall(text.lower())
    joined = "".join(found)
    if not joined:
        return np.empty(0, np.uint32)
    if not text.isascii() and len(_UNSPACED.findall(joined)) >= UNSPACED_SHARE * len(joined):
        units = np.frombuffer(joined.encode("utf-32-le", "replace"), np.uint32)
        size = characters
    else:
        units = np.fromiter(
            (zlib.crc32(word.encode("utf-8", "replace")) for word in found), np.uint32, len(found)
        )
        size = words
    size = min(size, len(units))
    total = np.zeros(len(units) - size + 1, np.uint64)
    for place in range(size):
        total += (units[place : len(units) - size + 1 + place] + np.uint64(1)) * _MIX[place]
    total ^= total >> np.uint64(29)
    total *= _MIX[-1]
    return np.unique((total >> _HALF).astype(np.uint32))


def jaccard(first: Hashes, second: Hashes) -> float:
    """How alike two sets of shingles are, from 0 to 1; two empty ones are not."""
    shared = len(np.intersect1d(first, second, assume_unique=True))
    total = len(first) + len(second) - shared
    return shared / total if total else 0.0


def signature(hashes: Hashes) -> Hashes:
    """The least value of each of PLACES hash functions over the shingles, of which there is at least one.

    Shape: (PLACES,).
    """
    least = np.full(PLACES, np.iinfo(np.uint32).max, np.uint32)
    for start in range(0, len(hashes), _AT_A_TIME):
        part = hashes[start : start + _AT_A_TIME].astype(np.uint64)
        values = (np.multiply.outer(_A, part) + _B[:, None]) >> _HALF  # (PLACES, shingles)
        np.minimum(least, values.min(axis=1).astype(np.uint32), out=least)
    return least


def band_rows(similarity: float) -> int:
    """How many places to a band: the most with which texts of that similarity are found with RECALL."""
    fits = [rows for rows in range(1, PLACES + 1) if chance(similarity, rows) >= RECALL]
    return max(fits, default=1)


def chance(similarity: float, rows: int) -> float:
    """The chance that two texts have a band in common: 1 − (1 − s^r)^b."""
    return float(1 - (1 - similarity**rows) ** (PLACES // rows))


def bands(signatures: NDArray[np.uint32], rows: int) -> Keys:
    """A key for each band of each signature; equal keys are equal bands in the same place.

    Shape: (n, PLACES) → (n, PLACES // rows).
    """
    count = PLACES // rows
    cut = signatures[:, : count * rows].reshape(-1, count, rows).astype(np.uint64)
    mixed = ((cut + np.uint64(1)) * np.resize(_MIX, rows)).sum(axis=2, dtype=np.uint64)
    mixed = (mixed ^ (mixed >> np.uint64(31))) * _MIX[-2]
    keys: Keys = mixed + np.arange(count, dtype=np.uint64) * _MIX[-3]
    return keys
