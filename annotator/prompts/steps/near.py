"""An index of texts by their MinHash bands, to find those nearly the same: LSH (Indyk and Motwani 1998).

What it finds is compared exactly, shingle by shingle. Memory is about a kilobyte a text: bands are kept in
sorted arrays that are merged now and then, not in dictionaries (datasketch's take seven times as much).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from annotator.prompts.steps.minhash import PLACES, Hashes, Keys, band_rows, bands, jaccard, signature

LOOKED_AT = 64
"""Of the texts that share a band, how many are looked at: thousands may share the words of a template."""
COMPARED = 64
"""Of those, how many are compared exactly, the likeliest first."""
SLACK = 0.15
"""How far below the threshold a signature may be, by chance, for its text to be compared: 4 deviations."""

Ids = NDArray[np.int32]


@dataclass(frozen=True)
class Sketch:
    """A text's shingles and their signature."""

    shingles: Hashes
    signature: Hashes

    @classmethod
    def of(cls, shingles: Hashes) -> Sketch:
        """The sketch of a set of shingles, of which there is at least one."""
        return cls(shingles, signature(shingles))


class NearIndex:
    """Texts that may be added, and looked for, in lots: a lot of some hundred is quickest."""

    def __init__(self, similarity: float) -> None:
        """`similarity` is the Jaccard index from which texts are nearly the same, above 0 and up to 1."""
        if not 0 < similarity <= 1:
            raise ValueError(f"a similarity is above 0 and at most 1, not {similarity}")
        self.similarity = similarity
        self.rows = band_rows(similarity)
        self.size = 0
        self._signatures = np.empty((1024, PLACES), np.uint32)
        self._shingles: list[Hashes] = []
        self._runs: list[tuple[Keys, Ids]] = []

    def add(self, sketches: Sequence[Sketch]) -> range:
        """Add texts; the numbers they get."""
        added = range(self.size, self.size + len(sketches))
        if not sketches:
            return added
        if added.stop > len(self._signatures):
            grown = np.empty((max(added.stop, len(self._signatures) * 3 // 2), PLACES), np.uint32)
            grown[: self.size] = self._signatures[: self.size]
            self._signatures = grown
        for number, sketch in zip(added, sketches, strict=True):
            self._signatures[number] = sketch.signature
        self._shingles += [sketch.shingles for sketch in sketches]
        keys = bands(self._signatures[added.start : added.stop], self.rows)
        ids = np.repeat(np.arange(added.start, added.stop, dtype=np.int32), keys.shape[1])
        self._runs.append(_sorted(keys.ravel(), ids))
        while len(self._runs) > 1 and len(self._runs[-2][0]) < 2 * len(self._runs[-1][0]):
            last, before = self._runs.pop(), self._runs.pop()
            self._runs.append(
                _sorted(np.concatenate([before[0], last[0]]), np.concatenate([before[1], last[1]]))
            )
        self.size = added.stop
        return added

    def nearest(self, sketches: Sequence[Sketch]) -> list[list[tuple[int, float]]]:
        """For each text, those added before that are nearly the same, and how alike: the most alike first."""
        if not sketches or not self.size:
            return [[] for _ in sketches]
        keys = bands(np.stack([sketch.signature for sketch in sketches]), self.rows)
        candidates: list[set[int]] = [set() for _ in sketches]
        for run_keys, run_ids in self._runs:
            first = np.searchsorted(run_keys, keys, "left")
            stop = np.minimum(np.searchsorted(run_keys, keys, "right"), first + LOOKED_AT)
            for text, band in np.argwhere(stop > first):
                candidates[text].update(run_ids[first[text, band] : stop[text, band]].tolist())
        return [self._alike(*pair) for pair in zip(sketches, candidates, strict=True)]

    def _alike(self, sketch: Sketch, candidates: set[int]) -> list[tuple[int, float]]:
        if not candidates:
            return []
        numbers = np.fromiter(sorted(candidates), np.int64, len(candidates))
        agree = (self._signatures[numbers] == sketch.signature).mean(axis=1)  # estimates Jaccard's index
        likely = numbers[np.argsort(-agree, kind="stable")[:COMPARED]]
        close = likely[np.sort(-agree, kind="stable")[:COMPARED] <= SLACK - self.similarity]
        compared = ((int(n), jaccard(sketch.shingles, self._shingles[n])) for n in close)
        found = [(number, alike) for number, alike in compared if alike >= self.similarity]
        return sorted(found, key=lambda pair: (-pair[1], pair[0]))


def alike_before(sketches: Sequence[Sketch], similarity: float) -> list[list[tuple[int, float]]]:
    """For each text, those before it in the lot that are nearly the same, and how alike."""
    lot = NearIndex(similarity)
    lot.add(sketches)
    found = lot.nearest(sketches)
    return [[pair for pair in alike if pair[0] < place] for place, alike in enumerate(found)]


def _sorted(keys: Keys, ids: Ids) -> tuple[Keys, Ids]:
    """Both in the order of the keys; within a key, in the order of the ids."""
    order = np.argsort(keys, kind="stable")
    return keys[order], ids[order]
