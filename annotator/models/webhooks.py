"""Webhooks: addresses of other sites that are told what has happened in a project, and each telling."""

from __future__ import annotations

from django.conf import settings
from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _


class WebhookEvent(models.TextChoices):
    RUN_FINISHED = "run.finished", _("A run has ended")
    COMPARISON_FULL = "comparison.full", _("A comparison has all of its judgments")
    TEST = "webhook.test", _("Test")


class Webhook(models.Model):
    """Where to send which events. Its secret comes of the site's key and `salt` (webhooks/signing.py)."""

    project = models.ForeignKey("annotator.Project", models.CASCADE, related_name="webhooks")
    url = models.CharField(max_length=500)
    events = models.JSONField(default=list)
    is_active = models.BooleanField(default=True)
    stopped_because = models.CharField(max_length=200, blank=True, help_text="Why the site stopped it.")
    salt = models.CharField(max_length=64, editable=False)
    former_salt = models.CharField(max_length=64, blank=True, editable=False)
    former_until = models.DateTimeField(
        null=True, blank=True, help_text="Until then the secret before the last change signs as well."
    )
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.SET_NULL, null=True, blank=True, related_name="+"
    )
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["id"]
        indexes = [
            models.Index(fields=["project"], name="webhook_active", condition=models.Q(is_active=True)),
        ]

    def __str__(self) -> str:
        return self.url


class WebhookDelivery(models.Model):
    """One event on its way to one address: what is sent, and how each attempt went."""

    class State(models.TextChoices):
        WAITING = "waiting", _("Waiting")
        DONE = "done", _("Delivered")
        FAILED = "failed", _("Given up")

    webhook = models.ForeignKey(Webhook, models.CASCADE, related_name="deliveries")
    event_id = models.CharField(max_length=40, help_text="The same in every attempt.")
    event = models.CharField(max_length=32, choices=WebhookEvent)
    body = models.TextField(help_text="The JSON as it is signed and sent.")
    state = models.CharField(max_length=16, choices=State, default=State.WAITING)
    attempts = models.JSONField(default=list, help_text='[{"at", "status", "error", "seconds", "answer"}]')
    due_at = models.DateTimeField(default=timezone.now)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["-id"]
        constraints = [models.UniqueConstraint(fields=["webhook", "event_id"], name="delivery_once")]
        indexes = [
            models.Index(fields=["due_at"], name="delivery_due", condition=models.Q(state="waiting")),
            models.Index(fields=["webhook", "-id"], name="delivery_of_webhook"),
        ]

    def __str__(self) -> str:
        return f"{self.event} to {self.webhook}"
