"""How the texts of one prompt stand, from all votes on all its comparisons: for formats with a line a prompt.

A text's share is the share of its pairs with others, in the same judgment, that it won; a tie is half. A
text that an annotator wrote won against all that they were shown. It is the same text wherever it is shown.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from annotator.exports.reading import Judged, Said, Task, Text
from annotator.models import Completion, Verdict, hash_text


@dataclass
class Standing:
    """One text's record."""

    text: Text
    author: int | None = None
    """The annotator, where it is an improved text that was never compared itself."""
    pairs: int = 0
    won: float = 0.0
    ratings: dict[str, list[int]] = field(default_factory=dict)
    votes: list[Said] = field(default_factory=list)
    rationales: list[str] = field(default_factory=list)
    """Of those who preferred it to all others."""

    @property
    def share(self) -> float:
        return self.won / self.pairs

    @property
    def key(self) -> tuple[float, bool, int, int]:
        """Sorts the best first; of equals what a person wrote, then what more pairs speak for."""
        return (-self.share, self.text.source != Completion.Source.EDITED, -self.pairs, self.text.pk or 0)


@dataclass
class Standings:
    """A prompt, its texts from the best to the worst, and the votes that say so."""

    task: Task
    texts: list[Standing]
    votes: list[Said]


def standings(comparisons: Iterable[Judged]) -> Standings | None:
    """The prompt's texts that are in a pair of some vote; None where there is none."""
    found: dict[str, Standing] = {}
    votes: list[Said] = []
    task: Task | None = None
    for judged in comparisons:
        task = judged.task
        for vote in judged.votes:
            if _count(judged, vote, found):
                votes.append(vote)
    if task is None or not votes:
        return None
    ranked = sorted((one for one in found.values() if one.pairs), key=lambda one: one.key)
    return Standings(task, ranked, votes)


def _count(judged: Judged, vote: Said, found: dict[str, Standing]) -> bool:
    """Count a vote; whether it says anything of a pair."""
    shown = [judged.texts[pk] for pk in vote.order if pk in judged.texts]
    records = {text.pk: _record(found, text) for text in shown}
    says = False
    if vote.verdict == Verdict.RANKED and len(shown) > 1:
        says = True
        for text in shown:
            record, rank = records[text.pk], vote.ranks[str(text.pk)]
            others = [vote.ranks[str(other.pk)] for other in shown if other.pk != text.pk]
            record.pairs += len(others)
            record.won += sum(1.0 if rank < other else 0.5 if rank == other else 0.0 for other in others)
            if vote.rationale and not vote.improved_text and rank < min(others):
                record.rationales.append(vote.rationale)
    if vote.improved_text and shown:
        best = _record(
            found, Text(None, vote.improved_text, Completion.Source.EDITED, judged.iteration, None)
        )
        if best.text.pk is None:
            best.author = vote.annotator
        beaten = [record for record in records.values() if record is not best]
        best.pairs += len(beaten)
        best.won += len(beaten)
        for record in beaten:
            record.pairs += 1
        if vote.rationale:
            best.rationales.append(vote.rationale)
        records[None] = best
        says = says or bool(beaten)
    if says:
        for record in {id(record): record for record in records.values()}.values():
            record.votes.append(vote)
        for text in shown:
            for scale, value in vote.ratings.get(str(text.pk), {}).items():
                records[text.pk].ratings.setdefault(scale, []).append(value)
    return says


def _record(found: dict[str, Standing], text: Text) -> Standing:
    key = hash_text(text.text)
    known = found.get(key)
    if known is None:
        known = found[key] = Standing(text)
    elif known.text.pk is None and text.pk is not None:
        known.text, known.author = text, None
    return known
