"""How far the work has come: an annotator's day, a project's counts and throughput."""

from __future__ import annotations

import statistics
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db.models import Count, F, Q, QuerySet, Sum
from django.utils import timezone

from annotator.models import Assignment, Completion, Project, Ranking, User
from annotator.ranking import queue

RECENT = 50
"""How many of the latest judgments a pace is taken from."""

WAITING_CAP = 1000
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


def of_annotator(annotator: User, project: Project) -> AnnotatorProgress:
    """The annotator's progress in the project."""
    mine = Ranking.objects.live().filter(annotator=annotator, comparison__project=project)
    counts = mine.aggregate(total=Count("pk"), today=Count("pk", filter=Q(created_at__gte=start_of_day())))
    return AnnotatorProgress(seconds=_median_seconds(mine), **counts)


def of_project(project: Project) -> ProjectProgress:
    """The project's counts and throughput."""
    prompts = project.prompts.aggregate(prompts=Count("pk"), held_out=Count("pk", filter=Q(is_held_out=True)))
    rankings = Ranking.objects.live().filter(comparison__project=project)
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


def _median_seconds(rankings: QuerySet[Ranking]) -> float | None:
    latest = rankings.filter(seconds__isnull=False).order_by("-pk").values_list("seconds", flat=True)[:RECENT]
    spent = [seconds for seconds in latest if seconds is not None]
    return statistics.median(spent) if spent else None
