"""What programs are let in by: personal tokens, and the answers that a repeated request gets again."""

from __future__ import annotations

from django.conf import settings
from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _


class Scope(models.TextChoices):
    """What a token may be used for. None contains another: a token has exactly those that it was given."""

    READ = "read", _("Read what I may see")
    RANK = "rank", _("Give judgments")
    SCORE = "score", _("Score texts with the reward model")
    WRITE = "write", _("Bring in tasks, instructions and comparisons")
    RUN = "run", _("Start and end runs, promote models")
    MANAGE = "manage", _("Change projects, members and webhooks")


class Token(models.Model):
    """A secret by which a program acts as its owner. Only its hash is stored (annotator/tokens.py)."""

    owner = models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE, related_name="tokens")
    name = models.CharField(max_length=80, help_text="What it is for.")
    hint = models.CharField(max_length=12, editable=False, help_text="How it begins, to tell it from others.")
    secret_hash = models.CharField(max_length=64, unique=True, editable=False)
    scopes = models.JSONField(default=list)
    project = models.ForeignKey(
        "annotator.Project",
        models.CASCADE,
        null=True,
        blank=True,
        related_name="+",
        help_text="The one project that it opens; empty: all of its owner's.",
    )
    expires_at = models.DateTimeField(null=True, blank=True, help_text="Empty: never.")
    last_used_at = models.DateTimeField(null=True, blank=True, help_text="To the minute.")
    revoked_at = models.DateTimeField(null=True, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["-id"]
        indexes = [models.Index(fields=["owner", "-id"], name="token_of_owner")]

    def __str__(self) -> str:
        return f"{self.name} ({self.hint}…)"

    @property
    def state(self) -> str:
        """`active`, `expired` or `revoked`."""
        if self.revoked_at is not None:
            return "revoked"
        if self.expires_at is not None and self.expires_at <= timezone.now():
            return "expired"
        return "active"


class StoredAnswer(models.Model):
    """What a request with an Idempotency-Key was answered: the same request gets it again for a day."""

    person = models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE, related_name="+")
    key = models.CharField(max_length=255)
    fingerprint = models.CharField(max_length=64, help_text="SHA-256 of method, address and body.")
    status = models.PositiveSmallIntegerField(default=0)
    body = models.TextField(blank=True)
    location = models.CharField(max_length=500, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["person", "key"], name="answer_one_per_key"),
        ]
        indexes = [models.Index(fields=["created_at"], name="answer_by_age")]

    def __str__(self) -> str:
        return f"answer to {self.key}"
