"""How far a run is, how long it has been at it, and how long it will take still."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise

from django.utils import timezone

from rlhf.models import Run

RECENT_STEPS = 10
"""The pace is taken from so many of the latest steps: the first ones load models."""
PAUSE_SECONDS = 15 * 60
"""No step takes so long: between two records that far apart the run lay in the queue."""


@dataclass(frozen=True)
class Progress:
    step: int
    total: int

    @property
    def percent(self) -> int:
        return min(100, 100 * self.step // self.total) if self.total else 0


def progress_of(run: Run) -> Progress | None:
    """None before its length is known."""
    return Progress(min(run.step, run.total), run.total) if run.total else None


def seconds_taken(run: Run, *, now: datetime | None = None) -> float | None:
    """From its first start to its end or now, pauses included. None before it has started."""
    if run.started_at is None:
        return None
    end = run.finished_at or now or timezone.now()
    return max(0.0, (end - run.started_at).total_seconds())


def seconds_left(run: Run) -> float | None:
    """At the pace of the latest steps; None where nothing says."""
    if run.state != Run.State.RUNNING or not run.total or run.step >= run.total:
        return None
    records = run.records.order_by("-step").values_list("step", "created_at")[:RECENT_STEPS]
    pace = seconds_a_step(list(records)[::-1])
    return None if pace is None else pace * (run.total - run.step)


def seconds_a_step(records: list[tuple[int, datetime]]) -> float | None:
    """Mean over neighbouring records, those with a pause between them left out."""
    steps, seconds = 0, 0.0
    for (first, earlier), (second, later) in pairwise(records):
        gap = (later - earlier).total_seconds()
        if second > first and 0 <= gap < PAUSE_SECONDS:
            steps += second - first
            seconds += gap
    return seconds / steps if steps else None
