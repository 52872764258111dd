"""From rankings to chosen/rejected pairs, the form that preference training reads.

edited > chosen > rejected: a ranking gives every pair of different ranks, and a text that the
annotator wrote stands above all that were shown. Ties and judgments that could not be made give no
pair; "all bad" orders nothing that was shown, but an improved text still stands above it.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import combinations

from annotator.models import Verdict


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
