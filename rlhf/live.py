"""When the reward heads of a project are refitted: counting new rankings, sending, claiming. No torch.

The row `LiveHeads` is the job, as a run is: a message on the broker only says "look now", and the sweep sends
it again when it was lost. Times are the database's.
"""

from __future__ import annotations

import logging
import os
import socket
import uuid
from datetime import timedelta
from typing import Any

from django.conf import settings
from django.db.models import DateTimeField, ExpressionWrapper, F, Max, Q, QuerySet
from django.db.models.functions import Greatest, Now
from kombu.exceptions import OperationalError

from annotator.models import Project, Ranking
from annotator.site.celery import app
from rlhf import runs
from rlhf.models import Checkpoint, LiveHeads

log = logging.getLogger(__name__)

RESEND_SECONDS = 5
"""What is due and was not taken for so long is sent again."""
FREE: dict[str, Any] = {"worker": "", "sent_at": None, "heartbeat_at": None}
MOST = 100_000
"""The most rankings that a manager may let pass between two refits."""


class ClaimLost(Exception):
    """Another worker refits them now."""


def sweep() -> int:
    """Count what is new, let go of dead workers' claims, send what is due; how many went out."""
    for project_id in _without_row():
        _row(project_id)
    count_new()
    silent = LiveHeads.objects.exclude(worker="").filter(heartbeat_at__lt=_ago(settings.REFIT_STALE_SECONDS))
    silent.update(**FREE, fresh=Greatest("fresh", "every"))  # due at once: it may have died in the middle
    waiting = LiveHeads.objects.filter(Q(sent_at=None) | Q(sent_at__lt=_ago(RESEND_SECONDS)), worker="")
    return sum(_send(row) for row in waiting.exclude(every=0).select_related("project") if due(row))


def count_new() -> None:
    """Add the rankings given since the last count; of two that count at once one does."""
    newest = _newest_ranking()
    behind = dict(
        LiveHeads.objects.filter(counted__lt=newest).exclude(every=0).values_list("project_id", "counted")
    )
    if not behind:
        return
    given = Ranking.objects.filter(pk__gt=min(behind.values()), pk__lte=newest)
    training = given.filter(comparison__prompt__is_held_out=False, comparison__is_queued=True)
    for project_id, counted in behind.items():
        new = 0
        if counted < newest:
            new = training.filter(pk__gt=counted, comparison__project=project_id).count()
        LiveHeads.objects.filter(project=project_id, counted=counted).update(
            counted=newest, fresh=F("fresh") + new
        )


def due(row: LiveHeads) -> Checkpoint | None:
    """The reward model whose heads are to be refitted now: enough rankings are new, or it is itself.

    Not one that length was taken out of: what it says of length was worked out by its training.
    """
    checkpoint = runs.latest_reward(row.project) if row.every else None
    if checkpoint is None or checkpoint.config.get("length") == "removed":
        return None
    if row.fresh < row.every and row.checkpoint_id == checkpoint.pk:
        return None
    return checkpoint


def set_every(project: Project, every: int) -> None:
    """After how many new rankings heads are refitted from now on; 0: never."""
    _row(project.pk)
    LiveHeads.objects.filter(project=project).update(every=every)


def of(project: Project) -> LiveHeads | None:
    """What there is to say of a project's refits: from its first reward model on."""
    return _row(project.pk) if runs.latest_reward(project) else None


class Claim:
    """One worker's hold on a project's live heads, and the only way by which a refit writes to their row."""

    def __init__(self, row: LiveHeads, checkpoint: Checkpoint, token: str) -> None:
        self.row = row
        self.checkpoint = checkpoint  # whose heads are to be refitted
        self.token = token

    @classmethod
    def take(cls, project_id: int) -> Claim | None:
        """Of any number of workers that try, one gets it; None where it is not due or taken."""
        row = LiveHeads.objects.select_related("project").filter(project=project_id, worker="").first()
        checkpoint = due(row) if row else None
        if row is None or checkpoint is None:
            return None
        token = f"{socket.gethostname()}:{os.getpid()}/{uuid.uuid4().hex[:8]}"
        # What it was due for is named again: another may have refitted them since they were read.
        same = LiveHeads.objects.filter(pk=row.pk, worker="", refits=row.refits, fresh__gte=row.fresh)
        if not same.update(worker=token, heartbeat_at=Now()):
            return None
        return cls(row, checkpoint, token)

    def beat(self) -> None:
        """Say that the worker lives. Raises ClaimLost."""
        self.write(heartbeat_at=Now())

    def write(self, **fields: Any) -> None:
        """Change the row if it is still ours. Raises ClaimLost: a transaction around it goes back."""
        if not LiveHeads.objects.filter(pk=self.row.pk, worker=self.token).update(**fields):
            raise ClaimLost

    def done(self) -> None:
        """Scores and priorities follow from what was there at the claim: that is new no more."""
        self._end(fresh=F("fresh") - self.row.fresh)

    def fail(self, error: str) -> None:
        """Let go until there are as many new rankings again, or another reward model."""
        self._end(
            checkpoint=self.checkpoint, error=error[:300], rankings=0, fresh=F("fresh") - self.row.fresh
        )

    def abandon(self) -> None:
        """Let go in the middle: it is due at once."""
        self._end(fresh=Greatest("fresh", "every"))

    def _end(self, **fields: Any) -> None:
        LiveHeads.objects.filter(pk=self.row.pk, worker=self.token).update(**FREE, **fields)


def _row(project_id: int) -> LiveHeads:
    """The project's row; made when first needed, with nothing counted as new."""
    row, _made = LiveHeads.objects.select_related("checkpoint").get_or_create(
        project_id=project_id, defaults={"every": settings.REFIT_EVERY, "counted": _newest_ranking()}
    )
    return row


def _send(row: LiveHeads) -> bool:
    try:
        app.send_task("rlhf.tasks.refit_heads", args=[row.project_id], retry=False)
    except (OperationalError, OSError) as error:
        log.warning("the reward heads of project %s wait for the broker: %s", row.project_id, error)
        return False
    LiveHeads.objects.filter(pk=row.pk, worker="").update(sent_at=Now())
    return True


def _without_row() -> QuerySet[Checkpoint, int]:
    """The projects that have a reward model and no row yet."""
    rewards = Checkpoint.objects.rewards().filter(project__live_heads=None)
    return rewards.order_by().values_list("project", flat=True).distinct()


def _newest_ranking() -> int:
    newest: int | None = Ranking.objects.aggregate(newest=Max("pk"))["newest"]
    return newest or 0


def _ago(seconds: int) -> ExpressionWrapper[Any]:
    return ExpressionWrapper(Now() - timedelta(seconds=seconds), output_field=DateTimeField())
