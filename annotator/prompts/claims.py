"""A worker's hold on an import: taken by one conditional UPDATE, kept by a heartbeat, lost by silence.

All times are the database's, so that workers whose clocks differ agree on who is silent.
"""

from __future__ import annotations

import logging
import secrets
import time
from collections.abc import Callable
from datetime import timedelta
from typing import Any

from django.conf import settings
from django.db.models import DateTimeField, ExpressionWrapper, F
from django.db.models.functions import Now

from annotator.models import PromptImport

log = logging.getLogger(__name__)

State = PromptImport.State
Report = Callable[[int, int], None]
"""Called now and then with what is done and what there is to do; a total of 0: not known."""

BEAT_SECONDS = 1.0
ATTEMPTS = 3
"""Workers that may die of one import before it counts as failed."""
WORKING = {State.QUEUED: State.INSPECTING, State.IMPORTING: State.IMPORTING}
"""What waits for a worker, and the state in which a worker has it."""


class Superseded(Exception):
    """The import was cancelled, or another worker has taken it over."""


class Claim:
    """One worker's hold on one step of an import."""

    def __init__(self, batch: PromptImport, report: Report | None = None) -> None:
        self.batch, self.report = batch, report
        self.beaten = time.monotonic()

    @classmethod
    def take(cls, import_id: int, report: Report | None = None) -> Claim | None:
        """The claim, if the import waits for a worker and nobody was faster."""
        token = secrets.token_hex(16)
        for waiting, working in WORKING.items():
            taken = PromptImport.objects.filter(pk=import_id, state=waiting, claim="").update(
                state=working,
                claim=token,
                beaten_at=Now(),
                attempts=F("attempts") + 1,
                progress={},
                error="",
            )
            if taken:
                batch = PromptImport.objects.select_related("project", "created_by").get(pk=import_id)
                # Where it was taken away between the two statements, what we hold is not worth anything.
                return cls(batch, report) if batch.claim == token else None
        return None

    def update(self, **values: Any) -> None:
        """Write to the import while it is ours. Raises Superseded if it is not any more."""
        mine = PromptImport.objects.filter(pk=self.batch.pk, state=self.batch.state, claim=self.batch.claim)
        if not mine.update(**values):
            raise Superseded

    def beat(self, done: int = 0, total: int = 0) -> None:
        """Show that it is alive and how far it is, at most once in BEAT_SECONDS."""
        if time.monotonic() - self.beaten < BEAT_SECONDS:
            return
        self.update(progress={"done": done, "total": total}, beaten_at=Now())
        self.beaten = time.monotonic()
        if self.report:
            self.report(done, total)

    def end(self, state: PromptImport.State, error: str) -> bool:
        """Let go of it, failed or cancelled; False, and nothing changes, if it is not ours any more."""
        try:
            self.update(state=state, error=error, claim="", records="", progress={}, finished_at=Now())
        except Superseded:
            log.info("import %d ended after it was cancelled: %s", self.batch.pk, error)
            return False
        return True


def give_back_silent() -> list[PromptImport]:
    """Let others take what silent workers have; what was too much for several of them has failed: those."""
    stale = timedelta(seconds=settings.IMPORT_STALE_SECONDS)
    ago = ExpressionWrapper(Now() - stale, output_field=DateTimeField())
    silent = PromptImport.objects.filter(
        state__in=[State.INSPECTING, State.IMPORTING], beaten_at__lt=ago
    ).exclude(claim="")
    error = f"Its worker died {ATTEMPTS} times. Nothing of the file was stored. Is there enough memory?"
    failed = [
        batch
        for batch in silent.filter(attempts__gte=ATTEMPTS)
        if silent.filter(pk=batch.pk, claim=batch.claim).update(
            state=State.FAILED, error=error, claim="", records="", progress={}, finished_at=Now()
        )
    ]
    silent.filter(state=State.INSPECTING).update(state=State.QUEUED, claim="")
    silent.filter(state=State.IMPORTING).update(claim="")
    return failed
