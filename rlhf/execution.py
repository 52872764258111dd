"""The worker's side of a run: claim it, beat its heart, store what it yields, end it or give it back.

Everything a worker writes is conditional on its claim, so that of two workers only one goes on.
Times are the database's, since the clocks of several hosts differ.
"""

from __future__ import annotations

import logging
import math
import os
import resource
import socket
import sys
import threading
import uuid
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any, TypeVar

from django.conf import settings
from django.db import InterfaceError, OperationalError, connection, transaction
from django.db.models import DateTimeField, ExpressionWrapper, F, QuerySet
from django.db.models.functions import Coalesce, Now

from rlhf import finished, run_log
from rlhf.interrupts import Interrupted, interrupts
from rlhf.lm.data import Record
from rlhf.models import Run, RunRecord, RunSample

log = logging.getLogger(__name__)

MAX_DEATHS = 20
"""A run that took so many workers with it is not given to another one by itself."""
GOES_ON = "it went back to the queue to go on from its last checkpoint."


class Stop(Exception):
    """The run must not go on in this process."""


class ClaimLost(Stop):
    """Another worker has it, or it was ended by somebody else."""


class CancelRequested(Stop):
    """Somebody asked for its end."""


Result = TypeVar("Result")


class Hold:
    """One worker's claim on one run, and the only way by which a stage writes."""

    def __init__(self, run: Run, token: str) -> None:
        self.run = run
        self.token = token
        self.folder: Path = settings.VAR / run.folder
        self.folder.mkdir(parents=True, exist_ok=True)

    @contextmanager
    def writing(self, **fields: Any) -> Iterator[None]:
        """A transaction in which the run is still ours; `fields` of the run change with it.

        Raises ClaimLost before the block, CancelRequested after it: what is finished is kept.
        """
        with interrupts.held_back(), transaction.atomic():
            self._update(**fields)
            yield
        self.check()

    @contextmanager
    def finishing(self, note: str = "") -> Iterator[None]:
        """Like `writing`, and the run is done with it: a result and its run's end are one transaction."""
        fields = {"note": note[:300]} if note else {}
        with interrupts.held_back(), transaction.atomic():
            self.check()
            self._update(state=Run.State.DONE, finished_at=Now(), message="", **fields)
            yield
            finished.tell(self.run, Run.State.DONE)
        run_log.append(self.run, "done")

    def say(self, message: str, *, step: int | None = None, total: int | None = None) -> None:
        """What it is doing now, for the page."""
        fields = {"step": step, "total": total}
        run_log.append(self.run, message)
        with self.writing(message=message[:300], **{k: v for k, v in fields.items() if v is not None}):
            pass

    def record(self, record: Record, *, message: str = "") -> None:
        """Store the numbers and samples of one step. The same step again replaces them."""
        with self.writing(step=record.step, total=record.total, message=message[:300]):
            self.store(record)
            run_log.append(self.run, record.note or message or f"step {record.step} of {record.total}")

    def record_all(
        self, records: Generator[Record, None, Result], message: Callable[[Record], str]
    ) -> Result:
        """Store every record that a training function yields; what it returns in the end."""
        while True:
            try:
                record = next(records)
            except StopIteration as end:
                result: Result = end.value
                return result
            self.record(record, message=message(record))

    def store(self, record: Record) -> None:
        """The rows of one step; for a stage that stores more in the same transaction."""
        values = {**record.values, "peak_mb": peak_mb()}
        RunRecord.objects.update_or_create(run=self.run, step=record.step, defaults={"values": plain(values)})
        for sample in record.samples:
            RunSample.objects.update_or_create(
                run=self.run,
                step=record.step,
                prompt_id=int(sample.task_id),
                defaults={
                    "text": sample.text,
                    "reference_text": sample.reference_text,
                    "values": plain(sample.values),
                },
            )

    def check(self) -> None:
        """Raises ClaimLost or CancelRequested. A stage calls it between steps that store nothing."""
        cancel = Run.objects.filter(**self._ours()).values_list("cancel_requested", flat=True).first()
        if cancel is None:
            raise ClaimLost
        if cancel:
            raise CancelRequested

    def beat(self) -> bool:
        """Say that the worker lives. False when the run is not ours any more."""
        return bool(Run.objects.filter(**self._ours()).update(heartbeat_at=Now()))

    def release(self, note: str) -> None:
        """Give it back to the queue, to go on from its last checkpoint."""
        self._end(state=Run.State.QUEUED, worker="", sent_at=None, message="", note=note[:300])
        run_log.append(self.run, note)

    def cancelled(self) -> None:
        self._end(state=Run.State.CANCELLED, finished_at=Now(), message="")
        run_log.append(self.run, "cancelled")

    def fail(self, error: str) -> None:
        self._end(state=Run.State.FAILED, finished_at=Now(), message="", error=error)
        run_log.append(self.run, f"failed: {error}")

    def _ours(self) -> dict[str, Any]:
        return {"pk": self.run.pk, "state": Run.State.RUNNING, "worker": self.token}

    def _update(self, **fields: Any) -> None:
        if not Run.objects.filter(**self._ours()).update(heartbeat_at=Now(), **fields):
            raise ClaimLost

    def _end(self, **fields: Any) -> None:
        with transaction.atomic():
            if Run.objects.filter(**self._ours()).update(**fields):
                finished.tell(self.run, fields["state"], fields.get("error", ""))


Stage = Callable[[Hold], None]


def claim(run_id: int, worker: str) -> Hold | None:
    """Take a queued run: of any number of workers that try, one gets it, the others None."""
    token = f"{worker}/{uuid.uuid4().hex[:8]}"
    taken = Run.objects.filter(pk=run_id, state=Run.State.QUEUED, cancel_requested=False).update(
        state=Run.State.RUNNING,
        worker=token,
        attempts=F("attempts") + 1,
        heartbeat_at=Now(),
        started_at=Coalesce(F("started_at"), Now()),
        finished_at=None,
        error="",
    )
    return Hold(Run.objects.select_related("project").get(pk=run_id), token) if taken else None


def execute(run_id: int, stage_of: Callable[[str], Stage]) -> None:
    """Carry a run out, from where it stands. Does nothing if it is not there to be taken."""
    hold = claim(run_id, f"{socket.gethostname()}:{os.getpid()}")
    if hold is None:
        log.info("run %s is not to be taken: done, or another worker has it", run_id)
        return
    log.info("run %s (%s), attempt %s", run_id, hold.run.kind, hold.run.attempts)
    run_log.append(hold.run, f"attempt {hold.run.attempts}, by {hold.token}")
    with run_log.warnings_of(hold.run), beating(hold):
        try:
            with interrupts.allowed():
                stage_of(hold.run.kind)(hold)
            log.info("run %s is done", run_id)
        except ClaimLost:
            log.warning("run %s was taken over or ended; this worker lets go of it", run_id)
        except CancelRequested:
            hold.cancelled()
            log.info("run %s is cancelled", run_id)
        except Interrupted:
            hold.release(f"Its worker was stopped; {GOES_ON}")
            log.info("run %s goes back to the queue: this worker ends", run_id)
        except (OperationalError, InterfaceError) as error:
            log.warning("run %s goes back to the queue: the database failed: %s", run_id, error)
            connection.close_if_unusable_or_obsolete()
            hold.release(f"The database failed; {GOES_ON}")
        except Exception as error:
            log.exception("run %s failed", run_id)
            hold.fail(explain(error))
        except KeyboardInterrupt:
            hold.release(f"It was stopped; {GOES_ON}")
            raise


@contextmanager
def beating(hold: Hold) -> Iterator[None]:
    """Beat the run's heart from a thread of its own while the block runs."""
    ended = threading.Event()

    def beat() -> None:
        while not ended.wait(settings.RUN_HEARTBEAT_SECONDS):
            try:
                if not hold.beat():
                    return
            except (OperationalError, InterfaceError) as error:
                log.warning("run %s: a heartbeat failed: %s", hold.run.pk, error)
            finally:
                connection.close()  # this thread's own

    thread = threading.Thread(target=beat, name=f"heart of run {hold.run.pk}", daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


def requeue_stale() -> int:
    """Runs whose worker has gone silent go back to the queue, or end where that was asked for."""
    silent_since = ExpressionWrapper(
        Now() - timedelta(seconds=settings.RUN_STALE_SECONDS), output_field=DateTimeField()
    )
    stale = Run.objects.filter(state=Run.State.RUNNING, heartbeat_at__lt=silent_since)
    stale = stale.select_related("project")
    for run in stale.filter(cancel_requested=True):
        _end_if(stale.filter(pk=run.pk, worker=run.worker), run, message="")
    count = 0
    for run in stale.filter(cancel_requested=False):
        if run.attempts % MAX_DEATHS == 0:
            fields: dict[str, Any] = {
                "state": Run.State.FAILED,
                "finished_at": Now(),
                "error": f"Its worker died {MAX_DEATHS} times. Is there enough memory? Resume it to go on.",
            }
        else:
            fields = {
                "state": Run.State.QUEUED,
                "note": f"Its worker died at step {run.step}; {GOES_ON}",
                "worker": "",
                "sent_at": None,
            }
        # The worker is named again: it may have been taken over since it was read.
        with transaction.atomic():
            gone = stale.filter(pk=run.pk, worker=run.worker).update(message="", **fields)
            if gone:
                finished.tell(run, fields["state"], fields.get("error", ""))
        if gone:
            run_log.append(run, fields.get("note") or fields["error"])
        count += gone
    waiting = Run.objects.filter(state=Run.State.QUEUED, cancel_requested=True).select_related("project")
    for run in waiting:
        _end_if(waiting.filter(pk=run.pk), run)
    return count


def _end_if(still: QuerySet[Run], run: Run, **fields: Any) -> None:
    """Cancel a run if it is still as it was found."""
    with transaction.atomic():
        if still.update(state=Run.State.CANCELLED, finished_at=Now(), **fields):
            finished.tell(run, Run.State.CANCELLED)


def explain(error: Exception) -> str:
    """An error in a line or two for people; the traceback is in the worker's log."""
    text = str(error).strip()
    if isinstance(error, MemoryError):
        text = "There was not enough memory."
    return f"{text[:1000]} ({type(error).__name__})" if text else type(error).__name__


def peak_mb() -> int:
    """The most memory this process has held, in MB."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak // (1024 * 1024 if sys.platform == "darwin" else 1024)


def plain(values: dict[str, Any]) -> dict[str, Any]:
    """JSON has no infinity and no NaN: such a number becomes null."""
    return {k: None if isinstance(v, float) and not math.isfinite(v) else v for k, v in values.items()}
