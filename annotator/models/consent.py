"""Consent: an annotator's withdrawal of their judgments from what leaves the site."""

from __future__ import annotations

from django.conf import settings
from django.db import models


class Withdrawal(models.Model):
    """From when to when somebody did not want their judgments in a project to be used. Never deleted."""

    project = models.ForeignKey("annotator.Project", models.CASCADE, related_name="withdrawals")
    annotator = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, related_name="withdrawals")
    created_at = models.DateTimeField(auto_now_add=True)
    taken_back_at = models.DateTimeField(null=True, blank=True, help_text="Empty while it is in force.")

    class Meta:
        ordering = ["-id"]
        constraints = [
            models.UniqueConstraint(
                fields=["project", "annotator"],
                condition=models.Q(taken_back_at__isnull=True),
                name="withdrawal_one_in_force",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.annotator} withdrew from {self.project}"
