"""How often each instruction was preferred, from the votes on its task."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass

from annotator.models import Prompt, Ranking, Verdict


@dataclass
class Record:
    """One completion's pairs with others in the same ranking; a tie is half a win."""

    pairs: int = 0
    won: float = 0.0

    @property
    def share(self) -> float:
        return self.won / self.pairs


def of_prompt(prompt: Prompt) -> dict[int, Record]:
    """The record of each completion that was ranked, by its id."""
    records: dict[int, Record] = defaultdict(Record)
    rankings = Ranking.objects.votes().filter(comparison__prompt=prompt, verdict=Verdict.RANKED)
    for ranks in rankings.values_list("ranks", flat=True):
        for key, rank in ranks.items():
            record = records[int(key)]
            others = [other for name, other in ranks.items() if name != key]
            record.pairs += len(others)
            record.won += sum(1.0 if rank < other else 0.5 if rank == other else 0.0 for other in others)
    return dict(records)
