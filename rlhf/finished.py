"""That a run has ended is told to the project's webhooks, in the transaction that ends it."""

from __future__ import annotations

from typing import Any

from annotator.models import WebhookEvent
from annotator.webhooks import outbox
from rlhf.models import Checkpoint, Run

ENDED = (Run.State.DONE, Run.State.FAILED, Run.State.CANCELLED)


def tell(run: Run, state: str, error: str = "") -> None:
    """Call it where the run's state has just been changed to this."""
    if state in ENDED:
        outbox.announce(run.project, WebhookEvent.RUN_FINISHED, lambda: data_of(run, state, error))


def data_of(run: Run, state: str, error: str) -> dict[str, Any]:
    checkpoint = Checkpoint.objects.filter(run=run).values_list("pk", flat=True).first()
    return {
        "run": run.pk,
        "kind": run.kind,
        "state": str(state),
        "iteration": run.iteration,
        "checkpoint": checkpoint,
        "error": error[:1000],
    }
