"""Which completions of a prompt people are asked to compare, and in which order."""

from __future__ import annotations

import itertools
import math
import random
from collections import Counter
from collections.abc import Sequence

from annotator.models import Comparison, Completion, Project, Prompt
from annotator.ranking.queue import NewComparison

SHOWN = 3
"""How often each completion is shown: pairs of four give all six."""


class Chooser:
    """Chooses for one project; the same seed chooses the same."""

    def __init__(self, project: Project, *, seed: int) -> None:
        self.size = project.completions_per_comparison
        self.seed = seed

    def choose(self, prompt: Prompt, completions: Sequence[Completion]) -> list[NewComparison]:
        """Random sets, balanced; the first of every prompt comes before the second of any."""
        ids = sorted({completion.pk for completion in completions})
        size = min(self.size, len(ids))
        if size < 2:
            return []
        chance = random.Random(f"{self.seed}:{prompt.hash}")
        wanted = min(math.ceil(SHOWN * len(ids) / size), math.comb(len(ids), size))
        chosen = _balanced(ids, size, wanted, chance)
        return [
            NewComparison(
                prompt_id=prompt.pk,
                completion_ids=completion_ids,
                priority=1 - place / (2 * wanted),
                rule=Comparison.Rule.RANDOM,
            )
            for place, completion_ids in enumerate(chosen)
        ]


def _balanced(ids: list[int], size: int, wanted: int, chance: random.Random) -> list[tuple[int, ...]]:
    """Different sets in which no completion is shown much more often than another."""
    chosen: list[tuple[int, ...]] = []
    shown: Counter[int] = Counter()
    while len(chosen) < wanted:
        order = sorted(ids, key=lambda c: (shown[c], chance.random()))
        new = next(
            candidate
            for candidate in itertools.combinations(order, size)
            if tuple(sorted(candidate)) not in chosen
        )
        chosen.append(tuple(sorted(new)))
        shown.update(new)
    return chosen
