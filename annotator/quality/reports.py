"""A project's quality report: computed by a worker, stored, and read by the pages.

One pass over the votes gives agreement and reliability, one over all live judgments what each person's
look like. What is kept in memory is a row of sums a task (or its weeks), and the decided votes' numbers.
"""

from __future__ import annotations

import logging
import time
from collections import Counter, defaultdict
from collections.abc import Iterable
from datetime import date, timedelta
from typing import Any

import numpy as np
from celery import current_app
from django.db.models import Max, Min
from django.utils import timezone
from kombu.exceptions import OperationalError

from annotator.models import Project, QualityReport, Ranking
from annotator.quality.agreement import Floats, Measures, measures, sums_of
from annotator.quality.people import People, Person
from annotator.quality.reliability import Pairs, reliabilities
from annotator.quality.votes import Judged, judged_comparisons

log = logging.getLogger(__name__)

SMALL = 1000
"""With so few judgments a page may compute the report itself, should the broker be down."""
REST = 20
"""A report that took a second is not computed again for so many seconds."""
BY_DAY = timedelta(days=42)
"""Over more time than that, agreement is shown by the week."""
EDGES = [0, 1, 2, 3, 5, 7, 10, 15, 20, 30, 45, 60, 90, 120, 180, 300, 600]
"""Seconds between which judgments are counted; the last bin is open."""
SLICES = ("domain", "language", "iteration")


def compute(project: Project) -> QualityReport:
    """Compute the report anew and store it."""
    started = time.monotonic()
    newest = Ranking.objects.aggregate(newest=Max("pk"))["newest"] or 0
    figures = figures_of(project)
    report, _created = QualityReport.objects.update_or_create(
        project=project,
        defaults={
            "last_ranking": newest,
            "figures": figures,
            "seconds": time.monotonic() - started,
            "computed_at": timezone.now(),
        },
    )
    return report


def figures_of(project: Project) -> dict[str, Any]:
    """All figures as plain JSON."""
    people, pairs = People(), Pairs()
    sums = _Sums(by_week=_is_long(project))
    for judged in judged_comparisons(project):
        sums.add(judged)
        pairs.add(judged)
        people.add_agreement(judged)
    daily, hourly = _read_judgments(project, people)
    people.add_repeats(project)
    known = reliabilities(pairs)
    rows = {
        str(pk): _row(person) | ({"reliability": vars(known[pk])} if pk in known else {})
        for pk, person in people.items()
    }
    times = Counter[int]()
    for person in people.values():
        times.update(np.searchsorted(EDGES, person.seconds, side="right").tolist())
    seconds = [value for person in people.values() for value in person.seconds]
    last = max(daily, default=None)
    return {
        "agreement": sums.figures(),
        "people": rows,
        "own": {pk: {"agreement": row["agreement"], "pairs": row["pairs"]} for pk, row in rows.items()},
        "daily": {day.isoformat(): n for day, n in sorted(daily.items())},
        "hourly": {str(hour): n for hour, n in sorted(hourly[last].items())} if last else {},
        "times": [times[i + 1] for i in range(len(EDGES))],
        "median_seconds": float(np.median(seconds)) if seconds else None,
    }


def due() -> list[int]:
    """Projects whose report does not know the newest judgments; those that rest are left for later."""
    now = timezone.now()
    newest = Ranking.objects.aggregate(newest=Max("pk"))["newest"] or 0
    reports = {report.project_id: report for report in QualityReport.objects.defer("figures")}
    lowest = min((report.last_ranking for report in reports.values()), default=newest)
    fresh = dict(
        Ranking.objects.filter(pk__gt=lowest)
        .values_list("comparison__project")
        .annotate(newest=Max("pk"))
        .order_by()
    )
    stale = {pk for pk, report in reports.items() if fresh.get(pk, 0) > report.last_ranking}
    # The others know all there is: the next check begins behind it.
    unchanged = QualityReport.objects.filter(last_ranking__lt=newest).exclude(project__in=stale)
    unchanged.update(last_ranking=newest)
    rested = [
        pk for pk in stale if (now - reports[pk].computed_at).total_seconds() > REST * reports[pk].seconds
    ]
    without = Project.objects.exclude(pk__in=reports).filter(comparisons__rankings__isnull=False)
    return sorted(rested) + list(without.order_by("pk").values_list("pk", flat=True).distinct())


def send(project_id: int) -> bool:
    """Ask a worker for the report; False if the broker cannot be reached."""
    try:
        current_app.send_task("annotator.tasks.compute_quality", [project_id])
    except (OperationalError, OSError) as error:
        log.warning("the quality report of project %d waits for the broker: %s", project_id, error)
        return False
    return True


def is_small(project: Project) -> bool:
    """Whether a page may compute the report itself."""
    found = Ranking.objects.filter(comparison__project=project).values_list("pk")[: SMALL + 1]
    return len(found) <= SMALL


class _Sums:
    """Rows of sums by what they can be sliced by, for everybody and for people alone."""

    def __init__(self, *, by_week: bool) -> None:
        self.by_week = by_week
        self.keys: dict[tuple[Any, ...], int] = {}
        self.everybody: list[Any] = []
        self.people: dict[int, Any] = {}
        """Only where it differs: where somebody simulated judged too."""

    def add(self, judged: Judged) -> None:
        day = timezone.localtime(max(vote.at for vote in judged.votes)).date()
        period = day - timedelta(days=day.weekday()) if self.by_week else day
        key = (judged.prompt, judged.domain, judged.language, judged.iteration, period)
        row = self.keys.setdefault(key, len(self.keys))
        all_sums = sums_of(judged.votes).astype(np.float32)
        people = [vote for vote in judged.votes if not vote.is_simulated]
        if row == len(self.everybody):
            self.everybody.append(np.zeros_like(all_sums))
        if len(people) < len(judged.votes) or row in self.people:
            before = self.people.get(row, self.everybody[row].copy())
            self.people[row] = before + sums_of(people).astype(np.float32)
        self.everybody[row] += all_sums

    def figures(self) -> dict[str, Any]:
        if not self.keys:
            return {"by_week": self.by_week}
        keys = list(self.keys)
        rows = np.array(self.everybody, dtype=np.float64)
        of_people = rows.copy()
        for row, sums in self.people.items():
            of_people[row] = sums
        periods = sorted({key[4] for key in keys})
        return {
            "by_week": self.by_week,
            "all": _measured(rows, keys),
            "people": _measured(of_people, keys) if self.people else None,
            "slices": {
                name: _sliced(rows, keys, 1 + number, sorted({key[1 + number] for key in keys}))
                for number, name in enumerate(SLICES)
            },
            "periods": _sliced(rows, keys, 4, periods),
        }


def _sliced(
    rows: Floats, keys: list[tuple[Any, ...]], place: int, values: Iterable[Any]
) -> list[dict[str, Any]]:
    found = []
    for value in values:
        inside = [i for i, key in enumerate(keys) if key[place] == value]
        measured = _measured(rows[inside], [keys[i] for i in inside])
        if measured:
            name = value.isoformat() if isinstance(value, date) else value
            found.append({"value": name} | measured)
    return found


def _measured(rows: Floats, keys: list[tuple[Any, ...]]) -> dict[str, Any] | None:
    """The measures of rows, those of a prompt put together; None without a pair of votes."""
    _, prompt = np.unique([key[0] for key in keys], return_inverse=True)
    by_prompt = np.zeros((prompt.max() + 1, rows.shape[1]))
    np.add.at(by_prompt, prompt, rows)
    by_prompt = by_prompt[by_prompt[:, 1] > 0]
    if not len(by_prompt):
        return None
    found: Measures = measures(by_prompt)
    return found.as_json()


def _read_judgments(
    project: Project, people: People
) -> tuple[Counter[date], defaultdict[date, Counter[int]]]:
    """Count every live judgment; of those on the queue how many a day, and a day's hour."""
    daily: Counter[date] = Counter()
    hourly: defaultdict[date, Counter[int]] = defaultdict(Counter)
    given = Ranking.objects.live().given_here().filter(comparison__project=project, is_adjudication=False)
    rows = given.order_by()
    fields = ("annotator", "verdict", "ranks", "order", "seconds", "gold_score", "created_at")
    for row in rows.values(*fields, "comparison__is_queued").iterator(chunk_size=2000):
        people[row["annotator"]].add(row)
        if row["comparison__is_queued"]:
            when = timezone.localtime(row["created_at"])
            daily[when.date()] += 1
            hourly[when.date()][when.hour] += 1
    return daily, hourly


def _row(person: Person) -> dict[str, Any]:
    shares = ("pace", "tie_share", "first_share", "agreement", "gold", "self_agreement")
    counts = ("judgments", "pairs", "golds", "repeat_pairs")
    return {name: getattr(person, name) for name in (*counts, *shares)}


def _is_long(project: Project) -> bool:
    ends = (
        Ranking.objects.live()
        .given_here()
        .filter(comparison__project=project)
        .aggregate(first=Min("created_at"), last=Max("created_at"))
    )
    return bool(ends["first"] and ends["last"] - ends["first"] > BY_DAY)
