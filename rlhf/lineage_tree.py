"""The lineage of the generators as a tree, from the base at the left to the newest: places in an SVG picture.

The line of the policy that writes now runs straight along the top. Of many only the newest are drawn, with
whatever they come from and whatever ever wrote; a box at their parent counts the others.
"""

from __future__ import annotations

import unicodedata
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from rlhf.figures import Figure
from rlhf.lineage import PolicyRow
from rlhf.reports import gold_gain

MOST = 40
"""So many are drawn, besides their ancestors."""
WIDTH, HEIGHT = 172, 46
ACROSS, DOWN = 212, 58
"""From a box to the next one; in pixels, as all here."""
MARGIN = 4
LONGEST = 21
"""Latin letters that a box has room for."""


@dataclass(frozen=True)
class Box:
    x: int
    y: int
    name: str
    detail: str
    """By which algorithm, and what it gained."""
    label: str
    """All of it in words, for who does not see the picture."""
    anchor: str = ""
    """Of its row in the list below; empty for a count of others."""
    state: str = ""
    """"now" or "before": whether it writes, or wrote."""


@dataclass(frozen=True)
class Tree:
    boxes: list[Box]
    lines: list[str]
    """SVG paths from a parent to its child,"""
    trunk: list[str]
    """and those that lead to the one that writes now."""
    width: int
    height: int


@dataclass
class _Place:
    depth: int
    row: int

    @property
    def left(self) -> int:
        return MARGIN + ACROSS * self.depth

    @property
    def top(self) -> int:
        return MARGIN + DOWN * self.row


def tree_of(rows: Sequence[PolicyRow], *, most: int = MOST) -> Tree:
    """The picture of these policies; rows come the newest first."""
    by_id = {row.checkpoint.pk: row for row in rows}
    parent = {
        pk: row.checkpoint.parent_id if row.checkpoint.parent_id in by_id else None
        for pk, row in by_id.items()
    }
    now = next((pk for pk, row in by_id.items() if row.writes_now), None)
    in_trunk = set(_upwards([now], parent) if now is not None else ())
    wanted = [pk for place, pk in enumerate(by_id) if place < most or by_id[pk].checkpoint.promoted_at]
    shown = {*_upwards(wanted, parent), *in_trunk}
    hidden = _hidden(parent, shown)
    children: dict[int | None, list[int]] = defaultdict(list)
    for pk in sorted(shown, key=lambda pk: (pk not in in_trunk, pk)):
        children[parent[pk]].append(pk)

    places: dict[int, _Place] = {}
    counts: list[tuple[_Place, int, int]] = []  # place, parent, how many are not drawn
    free = 0  # the next free row
    waiting = [(pk, 0) for pk in reversed(children[None])]
    first_child = {found[0] for found in children.values()}
    while waiting:
        pk, depth = waiting.pop()
        follows = pk in first_child and parent[pk] is not None
        row = places[parent[pk]].row if follows else free  # type: ignore[index]
        places[pk] = _Place(depth, row)
        free = max(free, row + 1)
        waiting += [(child, depth + 1) for child in reversed(children[pk])]
        if hidden[pk]:
            at = _Place(depth + 1, row if not children[pk] else -1)
            counts.append((at, pk, hidden[pk]))
            free = max(free, at.row + 1)
    for at, _pk, _count in counts:
        if at.row < 0:
            at.row, free = free, free + 1

    boxes = [_box(by_id[pk], place) for pk, place in places.items()]
    boxes += [_count_box(at, count) for at, _pk, count in counts]
    lines: list[str] = []
    trunk: list[str] = []
    for pk, place in places.items():
        above = parent[pk]
        if above is not None:
            (trunk if pk in in_trunk else lines).append(_path(places[above], place))
    lines += [_path(places[pk], at) for at, pk, _count in counts]
    return Tree(
        boxes,
        lines,
        trunk,
        width=max((box.x for box in boxes), default=0) + WIDTH + MARGIN,
        height=max((box.y for box in boxes), default=0) + HEIGHT + MARGIN,
    )


def _upwards(pks: Iterable[int], parent: dict[int, int | None]) -> Iterable[int]:
    """These and all they come from."""
    for pk in pks:
        at: int | None = pk
        while at is not None:
            yield at
            at = parent[at]


def _hidden(parent: dict[int, int | None], shown: set[int]) -> dict[int, int]:
    """How many of a shown one's descendants are not shown, counted at their nearest shown ancestor."""
    found: dict[int, int] = defaultdict(int)
    for pk in parent:
        if pk not in shown:
            nearest = next((at for at in _upwards([pk], parent) if at in shown), None)
            if nearest is not None:
                found[nearest] += 1
    return found


def _box(row: PolicyRow, place: _Place) -> Box:
    checkpoint = row.checkpoint
    algorithm = checkpoint.run.algorithm if checkpoint.run else _("base model")
    gain = gold_gain(row.evaluation) if row.evaluation else None
    state = "now" if row.writes_now else "before" if row.wrote_before else ""
    said = [
        str(checkpoint),
        algorithm,
        _("from %(name)s") % {"name": row.parent} if row.parent else "",
        _("gold gain %(gain)s") % {"gain": f"{gain.text} ({gain.interval})"} if gain else "",
        {"now": _("writes now"), "before": _("wrote before"), "": ""}[state],
    ]
    if gain is not None and gain.value is not None:
        detail = f"{algorithm} · {_sign(gain)} {gain.text}"
    else:
        detail = algorithm
    return Box(
        place.left,
        place.top,
        shortened(str(checkpoint)),
        shortened(detail, LONGEST + 4),
        ", ".join(filter(None, said)),
        f"checkpoint-{checkpoint.pk}",
        state,
    )


def _count_box(place: _Place, count: int) -> Box:
    words = ngettext("and %(n)d more", "and %(n)d more", count) % {"n": count}
    return Box(place.left, place.top, words, "", words)


def _sign(gain: Figure) -> str:
    """Where the interval lies: above zero, below, or around it."""
    if gain.low is not None and gain.low > 0:
        return "▲"
    return "▼" if gain.high is not None and gain.high < 0 else "≈"


def _path(start: _Place, end: _Place) -> str:
    x1, y1 = start.left + WIDTH, start.top + HEIGHT // 2
    x2, y2 = end.left, end.top + HEIGHT // 2
    middle = (x1 + x2) // 2
    return f"M{x1} {y1}C{middle} {y1} {middle} {y2} {x2} {y2}"


def shortened(text: str, longest: int = LONGEST) -> str:
    """With an ellipsis where it is wider than so many Latin letters; a Chinese character takes two."""
    room = longest
    for place, letter in enumerate(text):
        room -= 2 if unicodedata.east_asian_width(letter) in "WF" else 1
        if room < 0:
            return text[: max(0, place - 1)].rstrip() + "…"
    return text
