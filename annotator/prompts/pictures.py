"""What an import's report says of its tasks in bars: their lengths, languages and domains.

Places are percentages, so that the same picture fits a page of any width and a file.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from django.conf.locale import LANG_INFO
from django.utils.formats import number_format
from django.utils.translation import get_language_info
from django.utils.translation import gettext as _

from annotator.models import Domain

FEWEST_COLUMNS = 5
MOST_ROWS = 8
"""Languages and domains that get a bar of their own."""


@dataclass(frozen=True)
class Bar:
    """One bar: its name, how many tasks, and its length in percent of the longest."""

    label: str
    count: int
    share: float
    x: float = 0.0
    """Where it begins, in a picture of columns."""

    edge: str = ""
    """What its left side stands for, in a picture of columns."""

    @property
    def top(self) -> float:
        """Where it begins from above, in percent."""
        return 100 - self.share

    @property
    def words(self) -> str:
        return number_format(self.count, force_grouping=True)


@dataclass(frozen=True)
class Picture:
    """One picture; its bars stand (`columns`) or lie."""

    key: str
    title: str
    unit: str
    bars: list[Bar]
    columns: bool = False
    width: float = 0.0
    """Of a column, in percent."""
    note: str = ""

    @property
    def height(self) -> int:
        """In pixels."""
        return 200 if self.columns else 40 * len(self.bars)

    @property
    def in_words(self) -> str:
        """For those who cannot see it."""
        return f"{self.title}: " + ", ".join(f"{bar.label} {bar.words}" for bar in self.bars)

    @property
    def rows(self) -> list[tuple[Bar, int]]:
        """The bars that lie, and how far down each is, in pixels."""
        return [(bar, 40 * place) for place, bar in enumerate(self.bars)]


def pictures(report: Mapping[str, Any]) -> list[Picture]:
    """The pictures of what an inspection found; none for one that kept nothing."""
    if not report.get("kept"):
        return []
    languages = {code: language_name(code) for code in report.get("languages") or {}}
    domains = {value: str(label) for value, label in Domain.choices}
    found = [
        _lengths(report.get("lengths") or {}),
        _lying("languages", _("Languages"), report.get("languages") or {}, languages),
        _lying("domains", _("Domains"), report.get("domains") or {}, domains),
    ]
    return [picture for picture in found if picture.bars]


def language_name(code: str) -> str:
    """A language in the reader's own; the code itself where it has no name."""
    return str(get_language_info(code)["name_translated"]) if code in LANG_INFO else code


def _lengths(report: Mapping[str, Any]) -> Picture:
    counts: list[int] = list(report.get("counts") or [])
    edges: list[int] = list(report.get("edges") or [])
    used = [place for place, count in enumerate(counts) if count]
    unit = _("tokens") if report.get("unit") == "tokens" else _("characters")
    bars: list[Bar] = []
    if used:
        first = max(0, min(used[0], len(counts) - FEWEST_COLUMNS))
        shown = range(first, max(used[-1] + 1, first + FEWEST_COLUMNS))
        most, step = max(counts), 100 / len(shown)
        bars = [
            Bar(
                label=_between(edges, place),
                count=counts[place],
                share=round(100 * counts[place] / most, 2),
                x=round(n * step, 2),
                edge=str(edges[place]) if edges[place] < 1024 else f"{edges[place] // 1024}k",
            )
            for n, place in enumerate(shown)
        ]
    note = ""
    if used:
        note = _("Half of the tasks have %(median)s %(unit)s at most; the longest has %(most)s.") % {
            "median": number_format(report["median"], force_grouping=True),
            "most": number_format(report["most"], force_grouping=True),
            "unit": unit,
        }
    return Picture(
        "lengths",
        _("Lengths"),
        _("tasks by %(unit)s") % {"unit": unit},
        bars,
        columns=True,
        width=round(100 / max(1, len(bars)), 2),
        note=note,
    )


def _between(edges: list[int], place: int) -> str:
    low = edges[place]
    return f"{low}–{edges[place + 1] - 1}" if place + 1 < len(edges) else f"≥ {low}"


def _lying(key: str, title: str, counts: Mapping[str, int], names: Mapping[str, str]) -> Picture:
    ordered = sorted(counts.items(), key=lambda row: (-row[1], row[0]))
    rows = [(names.get(name, name), count) for name, count in ordered[:MOST_ROWS]]
    if rest := sum(count for _name, count in ordered[MOST_ROWS:]):
        rows.append((_("others"), rest))
    most = max((count for _name, count in rows), default=1)
    return Picture(key, title, _("tasks"), [Bar(name, n, round(100 * n / most, 2)) for name, n in rows])
