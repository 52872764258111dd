"""What managers do with webhooks: make, change, switch on and off, rotate the secret, test, delete."""

from __future__ import annotations

from collections.abc import Collection

from django.db import transaction
from django.utils.translation import gettext as _

from annotator import events
from annotator.models import Project, User, Webhook, WebhookDelivery, WebhookEvent
from annotator.webhooks import addresses, outbox, signing

MOST = 20
"""Webhooks a project may have."""
OFFERED = (WebhookEvent.RUN_FINISHED, WebhookEvent.COMPARISON_FULL)


class TooMany(Exception):
    """The project has as many as it may."""


@transaction.atomic
def make(*, project: Project, url: str, wanted: Collection[str], by: User) -> tuple[Webhook, str]:
    """A new webhook and its secret. Raises addresses.NotAllowed, TooMany."""
    addresses.check(url)
    if Webhook.objects.filter(project=project).count() >= MOST:
        raise TooMany(_("A project has at most %(most)d webhooks.") % {"most": MOST})
    webhook = Webhook.objects.create(
        project=project, url=url, events=_known(wanted), salt=signing.new_salt(), created_by=by
    )
    events.record(project, by, "made a webhook", url)
    return webhook, signing.secret_of(webhook.salt)


@transaction.atomic
def change(
    webhook: Webhook,
    by: User,
    *,
    url: str | None = None,
    wanted: Collection[str] | None = None,
    active: bool | None = None,
) -> None:
    """Change what is given. Raises addresses.NotAllowed."""
    if url is not None:
        addresses.check(url)
        webhook.url = url
    if wanted is not None:
        webhook.events = _known(wanted)
    if active is not None:
        webhook.is_active, webhook.stopped_because = active, ""
    webhook.save(update_fields=["url", "events", "is_active", "stopped_because"])
    events.record(webhook.project, by, "changed a webhook", webhook.url)


@transaction.atomic
def rotate(webhook: Webhook, by: User) -> str:
    """The new secret."""
    events.record(webhook.project, by, "changed a webhook's secret", webhook.url)
    return signing.rotate(webhook)


@transaction.atomic
def delete(webhook: Webhook, by: User) -> None:
    events.record(webhook.project, by, "deleted a webhook", webhook.url)
    webhook.delete()


@transaction.atomic
def test(webhook: Webhook) -> WebhookDelivery:
    """Send it an event that says nothing but that it works."""
    (delivery,) = outbox.announce(
        webhook.project, WebhookEvent.TEST, lambda: {"webhook": webhook.pk}, only=webhook
    )
    return delivery


def _known(wanted: Collection[str]) -> list[str]:
    return [event.value for event in OFFERED if event in wanted]
