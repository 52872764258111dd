"""From votes to preferences, the derived layer: edited > chosen > rejected, by one of three rules.

`vote`      every vote gives its pairs, those of one judgment under one group.
`majority`  of every two texts of a comparison, the one that more votes prefer; a tie is half a vote for each.
`weighted`  the same with votes weighted by reliability: with η the chance that a vote is meant as given
            (Crowd-BT), the log odds that the chosen text is better are the sum of log(η / (1 - η)) over
            its votes, minus that over the others'. Who is unknown counts as ordinary.

A text that an annotator wrote stands above all that they were shown, for that annotator alone: whatever the
rule, nobody else has seen it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from itertools import combinations
from typing import NamedTuple

from annotator.exports.reading import Judged, Said, Text
from annotator.models import Completion, Verdict, hash_text
from annotator.ranking.pairs import ordered_pairs

RULES = ("vote", "majority", "weighted")
ORDINARY = 0.86
"""η of whom nothing is known: the mode of the prior in quality/reliability.py."""
SURE = 0.99
"""No single vote counts for more than this."""


class Preference(NamedTuple):
    """Chosen over rejected, and how far the votes say so."""

    chosen: Text
    rejected: Text
    votes: Sequence[Said]
    group: str
    """The same for all pairs that belong together: those of a judgment, or of a comparison."""
    agreement: float
    """Share of the votes on these two texts that say the same; ties are half."""
    margin: float
    """How far apart they are, 0 to 1, mean over the votes."""
    weight: float
    """What a loss may multiply the pair by: 1 for a vote, else 2p - 1 where p is how sure the votes are."""
    strength: int | None
    """As the one vote says."""


def preferences_of(
    judged: Judged, rule: str, reliability: Callable[[int], float | None]
) -> Iterator[Preference]:
    """The comparison's pairs."""
    if rule == "vote":
        for vote in judged.votes:
            yield from _edited(judged, vote, f"ranking-{vote.pk}")
            yield from _of_vote(judged, vote)
    else:
        group = f"comparison-{judged.pk}"
        for vote in judged.votes:
            yield from _edited(judged, vote, group)
        weigh = reliability if rule == "weighted" else None
        yield from _together(judged, group, weigh)


def distance(vote: Said, one: int, other: int) -> float:
    """How far above the other the vote puts the one, -1 to 1: by its strength, else by ranks."""
    steps = vote.ranks[str(other)] - vote.ranks[str(one)]
    if not steps:
        return 0.0
    if vote.strength:
        return math.copysign(vote.strength / 3, steps)
    return steps / (len(vote.order) - 1)


def _of_vote(judged: Judged, vote: Said) -> Iterator[Preference]:
    texts, group = judged.texts, f"ranking-{vote.pk}"
    ranks = {int(key): rank for key, rank in vote.ranks.items()}
    for one, other in ordered_pairs(vote.verdict, ranks, vote.order):
        if one in texts and other in texts:
            margin = round(distance(vote, one, other), 4)
            yield Preference(texts[one], texts[other], (vote,), group, 1.0, margin, 1.0, vote.strength)


def _edited(judged: Judged, vote: Said, group: str) -> Iterator[Preference]:
    if not vote.improved_text:
        return
    best = Text(None, vote.improved_text, Completion.Source.EDITED, judged.iteration, None)
    digest = hash_text(best.text)
    for pk in sorted(vote.order):
        shown = judged.texts.get(pk)
        if shown is not None and hash_text(shown.text) != digest:
            yield Preference(best, shown, (vote,), group, 1.0, 1.0, 1.0, None)


def _together(
    judged: Judged, group: str, reliability: Callable[[int], float | None] | None
) -> Iterator[Preference]:
    ranked = [vote for vote in judged.votes if vote.verdict == Verdict.RANKED]
    if not ranked:
        return
    for one, other in combinations(sorted({pk for vote in ranked for pk in vote.order}), 2):
        votes = [vote for vote in ranked if str(one) in vote.ranks and str(other) in vote.ranks]
        if not votes or one not in judged.texts or other not in judged.texts:
            continue
        apart = [distance(vote, one, other) for vote in votes]
        share = sum(0.5 if far == 0 else float(far > 0) for far in apart) / len(apart)
        if reliability is None:
            sure = share
        else:
            odds = sum(
                _log_odds(reliability(vote.annotator)) * (1 if far > 0 else -1)
                for vote, far in zip(votes, apart, strict=True)
                if far
            )
            sure = 1 / (1 + math.exp(-odds))
        if abs(sure - 0.5) < 1e-9:
            continue
        sign = 1 if sure > 0.5 else -1
        yield Preference(
            chosen=judged.texts[one if sign > 0 else other],
            rejected=judged.texts[other if sign > 0 else one],
            votes=votes,
            group=group,
            agreement=round(share if sign > 0 else 1 - share, 4),
            margin=max(0.0, round(sign * sum(apart) / len(apart), 4)),
            weight=round(abs(2 * sure - 1), 4),
            strength=votes[0].strength if len(votes) == 1 else None,
        )


def _log_odds(eta: float | None) -> float:
    """The weight of a vote; a vote by somebody below chance speaks against itself."""
    known = min(max(ORDINARY if eta is None else eta, 1 - SURE), SURE)
    return math.log(known / (1 - known))
