"""The stored report as rows: for the pages' tables, their charts and the CSV files."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any

from django.conf import settings
from django.utils.formats import date_format
from django.utils.translation import gettext as _

from annotator import consent
from annotator.access import Person
from annotator.models import Domain, Membership, PauseKind, Project, QualityReport, User
from annotator.names import Names
from annotator.plots import Plot, Series
from annotator.quality.reports import EDGES

DAYS = 60
"""So many days of throughput are drawn."""
FEWEST_TASKS = 3
"""An interval over fewer tasks says nothing."""
MEASURES = ("pairwise", "tau", "alpha")
FORMULA = ("=", "+", "-", "@", "\t", "\r")
Figures = dict[str, Any]
Points = list[dict[str, Any]]


@dataclass(frozen=True)
class Row:
    """One annotator: who, where they stand, and their stored figures."""

    user: User
    name: str
    membership: Membership | None
    withdrawn_at: datetime | None
    today: int
    figures: Figures

    @property
    def pause(self) -> str:
        """Why they are paused; empty where they are not."""
        if self.membership is None or self.membership.paused_at is None:
            return ""
        return str(PauseKind(self.membership.pause_kind or PauseKind.MANUAL).label)

    @property
    def pause_words(self) -> str:
        """A manager's own words for it, which may name somebody: for managers; else why in general."""
        return (self.membership.pause_reason if self.membership else "") or self.pause


def annotators(project: Project, report: QualityReport, today: dict[int, int], reader: Person) -> list[Row]:
    """Everybody who has judged, the busiest first; for researchers under pseudonyms.

    Managers see those too who have withdrawn: it is their work that is measured. Researchers do not.
    """
    names = Names(project, reader)
    figures = report.figures["people"]
    memberships = {row.user_id: row for row in project.memberships.filter(user__in=map(int, figures))}
    users = User.objects.in_bulk([int(pk) for pk in figures])
    withdrawn = consent.withdrawn_among(project, users)
    rows = [
        Row(user, names.of(user), memberships.get(pk), withdrawn.get(pk), today.get(pk, 0), figures[str(pk)])
        for pk, user in users.items()
        if names.are_known or pk not in withdrawn
    ]
    return sorted(rows, key=lambda row: (-row.figures["judgments"], row.name))


def people_for(project: Project, figures: Figures, reader: Person) -> dict[str, Figures]:
    """The stored figures of each annotator, by the names that the reader may know them by."""
    names, users = Names(project, reader), User.objects.in_bulk([int(pk) for pk in figures["people"]])
    withdrawn = consent.withdrawn_among(project, users)
    return {
        names.of(user): figures["people"][str(pk)]
        for pk, user in users.items()
        if names.are_known or pk not in withdrawn
    }


def slices(figures: Figures) -> list[dict[str, Any]]:
    """The rows of the table of slices: {"kind", "name", and the measures}."""
    names = {"domain": _("Domain"), "language": _("Language"), "iteration": _("Iteration")}
    words: dict[str, dict[Any, Any]] = {
        "domain": dict(Domain.choices),
        "language": {code: str(name) for code, name in settings.LANGUAGES},
        "iteration": {},
    }
    found = []
    for kind, rows in figures["agreement"].get("slices", {}).items():
        for row in rows:
            name = words[kind].get(row["value"], row["value"])
            few = row["prompts"] < FEWEST_TASKS
            found.append({**row, "kind": names[kind], "name": name, "few": few})
    return found


def plots() -> list[Plot]:
    """What is drawn on the quality page."""
    return [
        Plot(
            "agreement",
            _("Agreement over time"),
            _("pairs ordered alike"),
            (Series("value", _("Pairwise"), "low", "high"),),
            percent=True,
            level={"value": 0.5, "label": _("chance")},
            hint=_("With intervals of 95 %; days or weeks with fewer than three tasks are left out."),
            x_label=_("last judgment of a comparison"),
        ),
        Plot(
            "throughput",
            _("Judgments"),
            _("a day"),
            (Series("n", _("Judgments")),),
            bars=True,
            x_label=_("day"),
        ),
        Plot(
            "times",
            _("Time per judgment"),
            _("judgments"),
            (Series("n", _("Judgments")),),
            bars=True,
            x_label=_("seconds on the page"),
        ),
    ]


def points(figures: Figures, today: date) -> dict[str, Points]:
    """The plots' points."""
    return {
        "agreement": _over_time(figures["agreement"].get("periods", [])),
        "throughput": _by_day(figures["daily"], today),
        "times": [
            {"x": i, "label": bin_name(i), "values": {"n": n}}
            for i, n in enumerate(figures["times"])
            if any(figures["times"])
        ],
    }


def bin_name(number: int) -> str:
    """The bin's seconds: 10–15, and ≥ 600 for the last."""
    low = EDGES[number]
    return f"{low}–{EDGES[number + 1]}" if number + 1 < len(EDGES) else f"≥ {low}"


def agreement_table(figures: Figures) -> Iterable[list[Any]]:
    yield ["slice", "value", *(f"{name}{end}" for name in MEASURES for end in ("", "_low", "_high")), "pairs"]
    agreement = figures["agreement"]
    rows = [("all", "", agreement.get("all")), ("people", "", agreement.get("people"))]
    rows += [
        (kind, row["value"], row) for kind, found in agreement.get("slices", {}).items() for row in found
    ]
    rows += [("from", row["value"], row) for row in agreement.get("periods", [])]
    for kind, value, row in rows:
        if row:
            ends = [(row[name] or {}).get(end) for name in MEASURES for end in ("value", "low", "high")]
            yield [kind, value, *ends, (row["pairwise"] or {}).get("pairs")]


def throughput_table(figures: Figures) -> Iterable[list[Any]]:
    yield ["day", "judgments"]
    yield from ([day, n] for day, n in figures["daily"].items())


def times_table(figures: Figures) -> Iterable[list[Any]]:
    yield ["seconds_from", "seconds_to", "judgments"]
    ends = [*EDGES[1:], None]
    yield from ([low, high, n] for low, high, n in zip(EDGES, ends, figures["times"], strict=True))


def annotators_table(rows: Iterable[Row]) -> Iterable[list[Any]]:
    names = ["judgments", "pace", "tie_share", "first_share", "agreement", "pairs", "self_agreement"]
    names += ["repeat_pairs", "gold", "golds"]
    ends = ("value", "low", "high")
    yield [
        "annotator",
        "simulated",
        "today",
        *names,
        "reliability",
        "reliability_low",
        "reliability_high",
        "paused",
    ]
    for row in rows:
        reliability = row.figures.get("reliability") or {}
        found = [row.figures[name] for name in names]
        yield [
            row.name,
            int(row.user.is_simulated),
            row.today,
            *found,
            *(reliability.get(end) for end in ends),
            row.pause,
        ]


def as_csv(rows: Iterable[list[Any]]) -> str:
    """CSV that no spreadsheet takes for formulas; numbers stay numbers."""
    out = io.StringIO()
    csv.writer(out).writerows([_safe(cell) for cell in row] for row in rows)
    return out.getvalue()


def _safe(cell: Any) -> Any:
    return f"'{cell}" if isinstance(cell, str) and cell.startswith(FORMULA) else cell


def _over_time(periods: Iterable[Figures]) -> Points:
    known = [row for row in periods if row["pairwise"] and row["prompts"] >= FEWEST_TASKS]
    if not known:
        return []
    first = date.fromisoformat(known[0]["value"])
    return [
        {
            "x": (date.fromisoformat(row["value"]) - first).days,
            "label": _short(date.fromisoformat(row["value"])),
            "values": {end: row["pairwise"][end] for end in ("value", "low", "high")},
        }
        for row in known
    ]


def _by_day(daily: dict[str, int], today: date) -> Points:
    """A point a day from the first judgment on, days without any too."""
    if not daily:
        return []
    first = max(date.fromisoformat(min(daily)), today - timedelta(DAYS - 1))
    days = [first + timedelta(i) for i in range((today - first).days + 1)]
    return [
        {"x": i, "label": _short(day), "values": {"n": daily.get(day.isoformat(), 0)}}
        for i, day in enumerate(days)
    ]


def _short(day: date) -> str:
    return date_format(day, "MONTH_DAY_FORMAT")
