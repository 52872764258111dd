"""What was done to a run, line by line, in a file of its folder: it outlives a worker that is killed.

A log that cannot be written stops no run. Times are UTC, as the writing process knows them.
"""

from __future__ import annotations

import logging
import re
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from django.conf import settings

from rlhf.models import Run

NAME = "log.txt"
SHOWN = 200
"""So many of the newest lines are on the page."""
LONGEST = 500_000
"""Bytes from the end of the file that are looked through for them."""
APART = ("huggingface_hub", "torch", "transformers")
"""Libraries whose loggers pass nothing on to the root logger."""
_LINE = re.compile(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)Z (.*)")


@dataclass(frozen=True)
class Line:
    at: datetime
    text: str
    """More than one line where an error has its traceback."""


def path_of(run: Run) -> Path:
    folder: Path = settings.VAR / run.folder
    return folder / NAME


def append(run: Run, text: str) -> None:
    """Add a line."""
    path = path_of(run)
    with suppress(OSError):
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("a", encoding="utf-8") as file:
            file.write(f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ} {text}\n")


@contextmanager
def warnings_of(run: Run) -> Iterator[None]:
    """Within the block whatever this process warns of stands in the run's log too, with its traceback."""
    handler = _Handler(run)
    loggers = [logging.getLogger(name) for name in (None, *APART)]
    for logger in loggers:
        logger.addHandler(handler)
    try:
        yield
    finally:
        for logger in loggers:
            logger.removeHandler(handler)


def newest(run: Run, count: int = SHOWN) -> list[Line]:
    """The last lines, the newest first."""
    lines: deque[Line] = deque(maxlen=count)
    for row in _end_of(path_of(run)).splitlines():
        found = _LINE.fullmatch(row)
        if found:
            lines.append(Line(datetime.fromisoformat(found[1]).replace(tzinfo=UTC), found[2]))
        elif lines:
            lines[-1] = Line(lines[-1].at, f"{lines[-1].text}\n{row}")
    return list(lines)[::-1]


def _end_of(path: Path) -> str:
    try:
        with path.open("rb") as file:
            file.seek(max(0, path.stat().st_size - LONGEST))
            return file.read().decode("utf-8", errors="replace")
    except OSError:
        return ""


class _Handler(logging.Handler):
    def __init__(self, run: Run) -> None:
        super().__init__(logging.WARNING)
        self.run = run
        self.last: logging.LogRecord | None = None

    def emit(self, record: logging.LogRecord) -> None:
        if record is self.last:  # by its library's logger and by the root
            return
        self.last = record
        if record.name != "py.warnings":  # what libraries tell developers
            append(self.run, self.format(record))
