"""Delivering: one attempt, what came of it, and when the next one is due."""

from __future__ import annotations

import http.client
import logging
import random
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import timedelta
from typing import Any

from django.conf import settings
from django.utils import timezone

from annotator.models import Webhook, WebhookDelivery
from annotator.webhooks import addresses, outbox, signing

log = logging.getLogger(__name__)

State = WebhookDelivery.State
PAUSES = (5, 60, 300, 1800, 7200, 5 * 3600, 10 * 3600, 24 * 3600)
"""Seconds between attempts, with up to a fifth more by chance: nine attempts in about two days."""
CLAIMED = timedelta(minutes=2)
"""Whoever tries has so long, before another may."""
ANSWER_KEPT = 500
GONE = 410
SENT_AT_ONCE = 200


def deliver(delivery_id: int) -> bool:
    """Make one attempt, if it is due and nobody else does. Whether it was delivered."""
    now = timezone.now()
    waiting = WebhookDelivery.objects.filter(pk=delivery_id, state=State.WAITING, due_at__lte=now)
    if not waiting.update(due_at=now + CLAIMED):
        return False
    delivery = WebhookDelivery.objects.select_related("webhook").get(pk=delivery_id)
    if not delivery.webhook.is_active:
        _end(delivery, State.FAILED, _attempt(error="The webhook is switched off."))
        return False
    attempt = _post(delivery)
    if attempt["status"] and 200 <= attempt["status"] < 300:
        _end(delivery, State.DONE, attempt)
        return True
    made = len(delivery.attempts)
    if attempt["status"] == GONE:
        _stop(delivery, "It answered 410 Gone.")
        _end(delivery, State.FAILED, attempt)
    elif made >= len(PAUSES):
        _end(delivery, State.FAILED, attempt)
    else:
        pause = PAUSES[made] * random.uniform(1, 1.2)
        _end(delivery, State.WAITING, attempt, due_at=timezone.now() + timedelta(seconds=pause))
    return False


def again(delivery: WebhookDelivery) -> WebhookDelivery:
    """Send the same event once more, as a manager asks; its earlier attempts stay in the log."""
    WebhookDelivery.objects.filter(pk=delivery.pk).update(state=State.WAITING, due_at=timezone.now())
    outbox.send(delivery.pk)
    delivery.refresh_from_db()
    return delivery


def sweep() -> int:
    """Send what is due and was not sent, and forget what is old; how many were sent."""
    now = timezone.now()
    due = WebhookDelivery.objects.filter(state=State.WAITING, due_at__lte=now - timedelta(seconds=3))
    sent = 0
    for pk in due.order_by("due_at").values_list("pk", flat=True)[:SENT_AT_ONCE]:
        if not outbox.send(pk):
            break
        sent += 1
    return sent


def forget_old() -> int:
    """Delete the log of deliveries that ended longer ago than it is kept."""
    long_ago = timezone.now() - timedelta(days=settings.WEBHOOK_LOG_DAYS)
    ended = WebhookDelivery.objects.exclude(state=State.WAITING)
    return ended.filter(created_at__lt=long_ago).delete()[0]


def _post(delivery: WebhookDelivery) -> dict[str, Any]:
    """One attempt over the network, as its line in the log."""
    began, at = time.monotonic(), timezone.now()
    body = delivery.body.encode()
    connection: http.client.HTTPConnection | None = None
    try:
        address = addresses.check(delivery.webhook.url)
        connection = addresses.connection(address, addresses.resolve(address), settings.WEBHOOK_SECONDS)
        default = address.port == (443 if address.secure else 80)
        host = f"[{address.host}]" if ":" in address.host else address.host
        headers = {
            "Host": host if default else f"{host}:{address.port}",
            "Content-Type": "application/json",
            "User-Agent": f"PrefLoop/{settings.SPECTACULAR_SETTINGS['VERSION']}",
            **signing.headers(delivery.webhook, delivery.event_id, at, delivery.body),
        }
        connection.connect()
        with _at_most(connection, 2 * settings.WEBHOOK_SECONDS):
            connection.request("POST", address.path, body=body, headers=headers)
            response = connection.getresponse()
            answer = response.read(ANSWER_KEPT).decode(errors="replace").replace("\x00", "")
        return _attempt(status=response.status, answer=answer, began=began)
    except (OSError, http.client.HTTPException, addresses.NotAllowed, UnicodeError) as error:
        return _attempt(error=f"{type(error).__name__}: {error}"[:300], began=began)
    finally:
        if connection is not None:
            connection.close()


@contextmanager
def _at_most(connection: http.client.HTTPConnection, seconds: float) -> Iterator[None]:
    """End the connection after so long, however slowly a byte now and then keeps it alive."""

    def end() -> None:
        with suppress(OSError):
            connection.sock.shutdown(socket.SHUT_RDWR)

    timer = threading.Timer(seconds, end)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


def _attempt(
    *, status: int | None = None, answer: str = "", error: str = "", began: float | None = None
) -> dict[str, Any]:
    seconds = round(time.monotonic() - began, 3) if began is not None else 0
    at = timezone.now().isoformat(timespec="seconds")
    return {"at": at, "status": status, "error": error, "seconds": seconds, "answer": answer}


def _end(delivery: WebhookDelivery, state: str, attempt: dict[str, Any], **fields: Any) -> None:
    delivery.attempts = [*delivery.attempts, attempt][-50:]
    delivery.state = state
    WebhookDelivery.objects.filter(pk=delivery.pk).update(attempts=delivery.attempts, state=state, **fields)


def _stop(delivery: WebhookDelivery, why: str) -> None:
    Webhook.objects.filter(pk=delivery.webhook_id).update(is_active=False, stopped_because=why)
    log.warning("webhook %d was switched off: %s", delivery.webhook_id, why)
