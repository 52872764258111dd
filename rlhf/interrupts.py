"""Lets the signal that ends a worker end its run at once, wherever it is, but not while rows are written."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from celery.signals import worker_shutting_down


class Interrupted(BaseException):
    """The worker is asked to end. Raised wherever the run happens to be, as KeyboardInterrupt is."""


class Interrupts:
    """Where the signal arrives, and the stretches of a run in which it may or may not end it."""

    def __init__(self) -> None:
        self.requested = False
        self._open = False

    def request(self, **_: Any) -> None:
        self.requested = True
        if self._open:
            self._open = False
            raise Interrupted

    @contextmanager
    def allowed(self) -> Iterator[None]:
        with self._set(open=True):
            yield

    @contextmanager
    def held_back(self) -> Iterator[None]:
        with self._set(open=False):
            yield

    @contextmanager
    def _set(self, *, open: bool) -> Iterator[None]:
        before, self._open = self._open, open
        try:
            if self._open and self.requested:
                raise Interrupted
            yield
        finally:
            self._open = before
        if self._open and self.requested:
            self._open = False
            raise Interrupted


interrupts = Interrupts()
worker_shutting_down.connect(interrupts.request, weak=False)
