"""What is to be told: a row for each webhook, in the transaction of what has happened; sent on commit."""

from __future__ import annotations

import json
import logging
import secrets
from collections.abc import Callable
from typing import Any

from celery import current_app
from django.db import models, transaction
from django.utils import timezone
from kombu.exceptions import OperationalError

from annotator.models import Assignment, Comparison, Project, Webhook, WebhookDelivery, WebhookEvent
from annotator.prepared import Given, Select, an_id

log = logging.getLogger(__name__)

_ACTIVE = Select(lambda: Webhook.objects.filter(is_active=True, project=an_id("project")).order_by("pk"))
_GIVEN = Select(
    lambda: (
        Assignment.objects.filter(comparison=an_id("comparison"), state=Given("state", models.CharField()))
        .order_by()
        .values_list("pk")
    )
)


def announce(
    project: Project, event: WebhookEvent, data: Callable[[], dict[str, Any]], *, only: Webhook | None = None
) -> list[WebhookDelivery]:
    """Let the project's webhooks that want this event be told. `data` is called if there is one.

    Call it in the transaction that makes it true: then neither is without the other.
    """
    wanting = [only] if only else [one for one in _ACTIVE(project=project.pk) if event in one.events]
    if not wanting:
        return []
    event_id = f"evt_{secrets.token_hex(12)}"
    body = json.dumps(
        {
            "type": event.value,
            "timestamp": timezone.now().isoformat(),
            "project": project.slug,
            "data": data(),
        },
        ensure_ascii=False,
    )
    made = [
        WebhookDelivery.objects.create(webhook=one, event_id=event_id, event=event, body=body)
        for one in wanting
    ]
    transaction.on_commit(lambda: [send(delivery.pk) for delivery in made])
    return made


def after_judgment(comparison: Comparison) -> None:
    """Tell that a comparison has all of its judgments, if it has. Not of gold questions and repeats."""
    if not comparison.is_queued or not _ACTIVE.first(project=comparison.project_id):
        return
    given = len(list(_GIVEN(comparison=comparison.pk, state=Assignment.State.SUBMITTED)))
    if given == comparison.judgments_wanted:
        announce(
            comparison.project,
            WebhookEvent.COMPARISON_FULL,
            lambda: {
                "comparison": comparison.pk,
                "prompt": comparison.prompt_id,
                "judgments": given,
                "rule": comparison.rule,
                "iteration": comparison.iteration,
            },
        )


def send(delivery_id: int) -> bool:
    """Put a delivery on the broker; False if that cannot be reached (the sweep tries again)."""
    try:
        current_app.send_task("annotator.tasks.deliver_webhook", [delivery_id], retry=False)
    except (OperationalError, OSError) as error:
        log.warning("delivery %d waits for the broker: %s", delivery_id, error)
        return False
    return True
