"""A judgment in words, with the letters under which its person saw the texts, or a page's numbers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from django.utils.translation import gettext as _

from annotator.models import Verdict

LETTERS = "ABCDEFGHI"
NUMBERS = "123456789"


def in_words(
    verdict: str,
    ranks: Mapping[int, int],
    order: Sequence[int],
    strength: int | None = None,
    *,
    names: Sequence[str] = LETTERS,
) -> str:
    """“A is much better”, “C > A = B”, “all bad”; the names are those of the texts in `order`."""
    if verdict == Verdict.CANNOT_JUDGE:
        return _("cannot be judged")
    if verdict == Verdict.ALL_BAD or not ranks:
        return _("all bad")
    lanes: dict[int, list[str]] = {}
    for letter, pk in zip(names, order, strict=False):
        lanes.setdefault(ranks[pk], []).append(letter)
    if len(order) != 2:
        return " > ".join(" = ".join(lanes[rank]) for rank in sorted(lanes))
    if len(lanes) == 1:
        return _("about the same")
    sentence = {
        1: _("{letter} is slightly better"),
        3: _("{letter} is much better"),
    }.get(strength or 2, _("{letter} is better"))
    return sentence.format(letter=lanes[min(lanes)][0])
