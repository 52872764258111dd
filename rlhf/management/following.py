"""What the commands that start a run share: start it, follow it on the terminal, end as it ended."""

from __future__ import annotations

import sys
import time
from argparse import ArgumentParser
from datetime import timedelta
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone

from annotator.models import Project
from rlhf import runs
from rlhf.execution import execute
from rlhf.models import Checkpoint, Run
from rlhf.tasks import stage_of

PATIENCE = 60.0
"""Seconds in which a worker must take a run, if none is busy with another one."""
POLL = 0.3
LINE_EVERY = 10.0


class Follower:
    """Shows a run's progress: one line that changes on a terminal, a line now and then elsewhere."""

    def __init__(self, out: Any, *, patience: float = PATIENCE) -> None:
        self.out = out
        self.patience = patience
        self._tty = bool(out.isatty())
        self._last = ""
        self._printed = 0.0

    def follow(self, run: Run) -> Run:
        """Wait for the run's end. Raises CommandError unless it ends well; Ctrl-C cancels it."""
        try:
            self._wait(run)
        except KeyboardInterrupt:
            runs.cancel(run)
            self._end_line()
            self.out.write(f"{run} is cancelled.")
            sys.exit(130)
        self._end_line()
        if run.state == Run.State.FAILED:
            raise CommandError(f"{run} failed: {run.error}")
        if run.state == Run.State.CANCELLED:
            raise CommandError(f"{run} was cancelled.")
        self.out.write(f"{run} is done.{' ' + run.note if run.note else ''}")
        return run

    def _wait(self, run: Run) -> None:
        queued_since, said = time.monotonic(), False
        while True:
            run.refresh_from_db()
            if not run.is_active:
                return
            if run.state == Run.State.RUNNING or self._workers_busy():
                queued_since = time.monotonic()
            waited = time.monotonic() - queued_since
            if waited > min(10.0, self.patience) and not said:
                said = True
                self._end_line()
                self.out.write("No model worker has taken it yet. Is one running? `make run` starts it.")
            if waited > self.patience:
                runs.cancel(run)
                raise CommandError(
                    f"No model worker took {run} within {self.patience:.0f} s, so it is cancelled. "
                    "Start one with `make run`, or use --here."
                )
            self._show(run)
            time.sleep(POLL)

    def _workers_busy(self) -> bool:
        alive = timezone.now() - timedelta(seconds=settings.RUN_STALE_SECONDS)
        return Run.objects.filter(state=Run.State.RUNNING, heartbeat_at__gt=alive).exists()

    def _show(self, run: Run) -> None:
        place = f" {run.step}/{run.total}" if run.total else ""
        state = "waiting for a worker" if run.state == Run.State.QUEUED else run.message
        text = f"{run}:{place} {state}".rstrip()
        if self._tty:
            self.out.write("\r" + text[:100].ljust(len(self._last)), ending="")
            self.out.flush()
        elif text != self._last and time.monotonic() - self._printed > LINE_EVERY:
            self.out.write(text)
            self.out.flush()
            self._printed = time.monotonic()
        self._last = text[:100]

    def _end_line(self) -> None:
        if self._tty and self._last:
            self.out.write("\r" + " " * len(self._last) + "\r", ending="")
            self._last = ""


class RunCommand(BaseCommand):
    """A command that starts one run of a project, as the page does, and waits for its end."""

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("project", help="slug of the project")
        self.add_settings(parser)
        parser.add_argument("--detach", action="store_true", help="start it and return at once")
        parser.add_argument("--here", action="store_true", help="work in this process, without a worker")
        parser.add_argument(
            "--patience", type=float, default=PATIENCE, help="seconds to wait for a worker (default 60)"
        )

    def add_settings(self, parser: ArgumentParser) -> None:
        """The options of this kind of run."""

    def start(self, project: Project, options: dict[str, Any]) -> Run:
        """Make the run. May raise CannotStart."""
        raise NotImplementedError

    def report(self, run: Run) -> None:
        """Print what came out."""

    def handle(self, *args: Any, **options: Any) -> None:
        project = project_named(options["project"])
        try:
            run = self.start(project, options)
        except runs.CannotStart as error:
            raise CommandError(str(error)) from error
        if options["detach"]:
            self.stdout.write(f"{run} is waiting for a worker.")
            return
        if options["here"]:
            work_here(run)
        self.report(Follower(self.stdout, patience=options["patience"]).follow(run))


def work_here(run: Run) -> None:
    """Carry the run out in this process; Ctrl-C cancels it."""
    try:
        execute(run.pk, stage_of)
    except KeyboardInterrupt:
        runs.cancel(run)
        sys.exit(130)


def project_named(slug: str) -> Project:
    try:
        return Project.objects.get(slug=slug)
    except Project.DoesNotExist:
        known = ", ".join(Project.objects.values_list("slug", flat=True)[:20]) or "none"
        raise CommandError(f"There is no project “{slug}”. There are: {known}.") from None


def checkpoint_named(name: str, project: Project | None = None) -> Checkpoint:
    """A checkpoint by its number, or by its name where that is unique."""
    known = Checkpoint.objects.all() if project is None else project.checkpoints.all()
    found = list(known.filter(pk=int(name)) if name.isdecimal() else known.filter(name=name)[:2])
    if not found:
        raise CommandError(f"There is no checkpoint “{name}”.")
    if len(found) > 1:
        raise CommandError(f"Several checkpoints are called “{name}”; give the number.")
    return found[0]


def settings_from(options: dict[str, Any], *names: str) -> dict[str, Any]:
    """The options that were given, as a config's fields."""
    return {name: options[name] for name in names if options[name] is not None}
