"""Logs tell what happened, not that a clock has ticked."""

from __future__ import annotations

import logging

import pytest

from annotator.site.logs import WithoutSweeps


def record(name: str, level: int, message: str, args: object) -> logging.LogRecord:
    return logging.LogRecord(name, level, __file__, 1, message, (args,), None)


@pytest.mark.parametrize(
    ("logger", "level", "task", "is_kept"),
    [
        ("celery.worker.strategy", logging.INFO, "rlhf.tasks.sweep_refits", False),
        ("celery.app.trace", logging.INFO, "annotator.tasks.sweep_leases", False),
        ("celery.app.trace", logging.ERROR, "rlhf.tasks.sweep_refits", True),
        ("celery.app.trace", logging.INFO, "rlhf.tasks.execute_run", True),
        ("rlhf.live", logging.INFO, "rlhf.tasks.sweep_refits", True),
    ],
)
def test_sweeps_are_named_only_when_they_fail(logger: str, level: int, task: str, is_kept: bool) -> None:
    line = record(logger, level, "Task %(name)s[%(id)s] received", {"name": task, "id": "1"})
    assert WithoutSweeps().filter(line) is is_kept


def test_nor_does_the_clock_say_that_it_sent_one() -> None:
    line = logging.LogRecord("celery.beat", logging.INFO, __file__, 1, "Sending due task %s (%s)", None, None)
    line.args = ("sweep-refits", "rlhf.tasks.sweep_refits")
    assert not WithoutSweeps().filter(line)
    line.args = ("nightly", "annotator.tasks.export")
    assert WithoutSweeps().filter(line)


def test_other_lines_pass() -> None:
    assert WithoutSweeps().filter(record("celery.beat", logging.INFO, "beat: %s", "Starting"))
