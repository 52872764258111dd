"""How long a run has been at it, and how long it will take still."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from annotator.models import Project
from rlhf.models import Run, RunRecord
from rlhf.progress import Progress, progress_of, seconds_a_step, seconds_left, seconds_taken

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


def at(seconds: float) -> datetime:
    return NOON + timedelta(seconds=seconds)


def test_percent_is_of_the_whole_and_at_most_100():
    assert Progress(1, 3).percent == 33
    assert Progress(9, 8).percent == 100


def test_progress_is_unknown_before_the_length_is():
    assert progress_of(Run(step=0, total=0)) is None
    assert progress_of(Run(step=5, total=4)) == Progress(4, 4)


def test_pace_is_the_mean_over_the_steps():
    assert seconds_a_step([(1, at(0)), (2, at(10)), (4, at(40))]) == pytest.approx(40 / 3)


def test_pace_leaves_out_the_time_in_which_the_worker_was_dead():
    assert seconds_a_step([(1, at(0)), (2, at(10)), (3, at(3610)), (4, at(3620))]) == 10


def test_one_record_says_nothing_of_the_pace():
    assert seconds_a_step([(1, at(0))]) is None


def test_the_time_taken_ends_with_the_run():
    run = Run(started_at=at(0), finished_at=at(90))
    assert seconds_taken(run, now=at(500)) == 90
    run.finished_at = None
    assert seconds_taken(run, now=at(500)) == 500
    assert seconds_taken(Run()) is None


def test_time_left_is_the_pace_times_the_steps_that_are_left(project: Project):
    run = Run.objects.create(project=project, kind="policy", state="running", step=3, total=16)
    for step, seconds in ((1, 0), (2, 20), (3, 40)):
        record = RunRecord.objects.create(run=run, step=step)
        RunRecord.objects.filter(pk=record.pk).update(created_at=at(seconds))
    assert seconds_left(run) == 20 * 13
    run.state = Run.State.DONE
    assert seconds_left(run) is None
