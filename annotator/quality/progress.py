"""How far the work has come: an annotator's day, a project's counts and throughput."""

from __future__ import annotations

import statistics
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db.models import Count, F, Q, QuerySet, Sum
from django.utils import timezone

from annotator.models import Assignment, Completion, Project, QualityReport, Ranking, User
from annotator.ranking import queue

RECENT = 50
"""How many of the latest judgments a pace is taken from."""

WAITING_CAP = 200
"""Counting on would cost time and tell nobody anything."""


@dataclass(frozen=True)
class AnnotatorProgress:
    """One annotator's live judgments in one project."""

    today: int
    total: int
    seconds: float | None
    """Median of the latest judgments' seconds; None before the first."""


@dataclass(frozen=True)
class ProjectProgress:
    """What a project has, and what it still wants."""

    prompts: int
    held_out: int
    completions: int
    comparisons: int
    judgments: int
    """Given here; those that files brought are not counted."""
    remaining: int
    """Judgments that the open comparisons still want, beside those being given now."""
    annotators: int
    """People who have judged."""
    today: int
    last_hour: int
    seconds: float | None


def start_of_day() -> datetime:
    """Midnight in the current time zone."""
    return timezone.localtime().replace(hour=0, minute=0, second=0, microsecond=0)


@dataclass(frozen=True)
class OwnQuality:
    """What an annotator is shown about their own judgments."""

    seconds: float | None
    """Median of the latest judgments' seconds."""
    agreement: float | None
    """Share of pairs on which others say the same, from the stored report; None while unknown."""
    pairs: int
    """How many pairs of votes that share comes from."""


def of_annotator(annotator: User, project: Project) -> AnnotatorProgress:
    """The annotator's progress in the project. Counts all that they have judged: not for every click."""
    mine = _judgments_of(annotator, project)
    return AnnotatorProgress(
        today=today_of(annotator, project), total=mine.count(), seconds=_median_seconds(mine)
    )


def today_of(annotator: User, project: Project) -> int:
    """The annotator's judgments since midnight; reads no more than today's, by an index."""
    return _judgments_of(annotator, project).filter(created_at__gte=start_of_day()).count()


def own_quality(annotator: User, project: Project) -> OwnQuality | None:
    """What the annotator may know of their own quality; None where the project does not show it.

    The agreement is that of the stored report: nothing is computed here.
    """
    if not project.show_own_quality:
        return None
    report = QualityReport.objects.filter(project=project).first()
    row = (report.figures.get("own") or {}).get(str(annotator.pk), {}) if report else {}
    return OwnQuality(
        seconds=_median_seconds(_judgments_of(annotator, project)),
        agreement=row.get("agreement"),
        pairs=row.get("pairs", 0),
    )


def of_project(project: Project) -> ProjectProgress:
    """The project's counts and throughput."""
    prompts = project.prompts.aggregate(prompts=Count("pk"), held_out=Count("pk", filter=Q(is_held_out=True)))
    rankings = Ranking.objects.live().given_here().filter(comparison__project=project)
    given = rankings.aggregate(
        judgments=Count("pk"),
        annotators=Count("annotator", distinct=True),
        today=Count("pk", filter=Q(created_at__gte=start_of_day())),
        last_hour=Count("pk", filter=Q(created_at__gte=timezone.now() - timedelta(hours=1))),
    )
    missing = project.comparisons.open().aggregate(n=Sum(F("judgments_wanted") - F("judgments_taken")))
    return ProjectProgress(
        completions=Completion.objects.filter(prompt__project=project).count(),
        comparisons=project.comparisons.count(),
        remaining=missing["n"] or 0,
        seconds=_median_seconds(rankings),
        **prompts,
        **given,
    )


def waiting_for(annotator: User, project: Project) -> int:
    """Comparisons that wait for this person, those they hold included; not counted out beyond WAITING_CAP."""
    held = Assignment.objects.filter(
        annotator=annotator,
        comparison__project=project,
        state=Assignment.State.LEASED,
        leased_until__gt=timezone.now(),
    )
    return min(WAITING_CAP, queue.open_for(annotator, project)[:WAITING_CAP].count() + held.count())


def _judgments_of(annotator: User, project: Project) -> QuerySet[Ranking]:
    return Ranking.objects.live().filter(annotator=annotator, comparison__project=project)


def _median_seconds(rankings: QuerySet[Ranking]) -> float | None:
    latest = rankings.filter(seconds__isnull=False).order_by("-pk").values_list("seconds", flat=True)[:RECENT]
    spent = [seconds for seconds in latest if seconds is not None]
    return statistics.median(spent) if spent else None
