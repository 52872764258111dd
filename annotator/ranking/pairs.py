"""From rankings to chosen/rejected pairs, the form that preference training reads.

edited > chosen > rejected: a ranking gives every pair of different ranks, and a text that the
annotator wrote stands above all that were shown. Ties and judgments that could not be made give no
pair; "all bad" orders nothing that was shown, but an improved text still stands above it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import combinations

from django.db.models import QuerySet

from annotator.models import Completion, Project, Prompt, Ranking, Verdict, hash_text

CHUNK = 1000


@dataclass(frozen=True)
class Pair:
    """One preference, with the rows it came from."""

    prompt: Prompt
    chosen: Completion
    rejected: Completion
    ranking: Ranking


def ordered_pairs(
    verdict: str, ranks: Mapping[int, int], shown: list[int], improved: int | None = None
) -> list[tuple[int, int]]:
    """(chosen id, rejected id), in the order of the ids shown; the improved text's first."""
    if verdict not in (Verdict.RANKED, Verdict.ALL_BAD):
        return []
    ids = sorted(shown)
    pairs = [(improved, other) for other in ids if improved is not None and other != improved]
    if verdict == Verdict.RANKED:
        for one, other in combinations(ids, 2):
            if ranks[one] != ranks[other]:
                pairs.append((one, other) if ranks[one] < ranks[other] else (other, one))
    return pairs


def pairs_of(project: Project) -> Iterator[Pair]:
    """All pairs of the project's votes, oldest first, a thousand rankings in memory at a time."""
    live = Ranking.objects.votes().filter(comparison__project=project)
    for rankings in in_chunks(live.select_related("comparison__prompt")):
        completions = Completion.objects.in_bulk({pk for ranking in rankings for pk in ranking.order})
        improved = _improved(rankings)
        for ranking in rankings:
            best = improved.get((ranking.comparison.prompt_id, hash_text(ranking.improved_text)))
            ranks = {int(key): rank for key, rank in ranking.ranks.items()}
            pairs = ordered_pairs(ranking.verdict, ranks, ranking.order, best.pk if best else None)
            texts = completions if best is None else {**completions, best.pk: best}
            for chosen, rejected in pairs:
                yield Pair(ranking.comparison.prompt, texts[chosen], texts[rejected], ranking)


def in_chunks(rankings: QuerySet[Ranking]) -> Iterator[list[Ranking]]:
    """The rankings by id, CHUNK at a time; those that come in meanwhile are left out."""
    newest = rankings.order_by("-pk").values_list("pk", flat=True).first() or 0
    last = 0
    while True:
        rows = list(rankings.filter(pk__gt=last, pk__lte=newest).order_by("pk")[:CHUNK])
        if not rows:
            return
        yield rows
        last = rows[-1].pk


def _improved(rankings: list[Ranking]) -> dict[tuple[int, str], Completion]:
    """The completions that the rankings' improved texts became, by prompt and hash of the text."""
    wanted = {
        (ranking.comparison.prompt_id, hash_text(ranking.improved_text))
        for ranking in rankings
        if ranking.improved_text
    }
    found = Completion.objects.filter(
        prompt__in={prompt for prompt, _ in wanted}, text_hash__in={key for _, key in wanted}
    )
    return {(row.prompt_id, row.text_hash): row for row in found if (row.prompt_id, row.text_hash) in wanted}
