"""Users, and the role each of them has in each project."""

from __future__ import annotations

from django.contrib.auth.models import AbstractUser
from django.db import models
from django.utils.translation import gettext_lazy as _


class User(AbstractUser):
    is_simulated = models.BooleanField(
        default=False, help_text="A program that ranks by the gold metric, for demonstration and tests."
    )

    class Meta(AbstractUser.Meta):
        pass


class Role(models.TextChoices):
    ANNOTATOR = "annotator", _("Annotator")
    MANAGER = "manager", _("Manager")
    RESEARCHER = "researcher", _("Researcher")


class Membership(models.Model):
    project = models.ForeignKey("annotator.Project", models.CASCADE, related_name="memberships")
    user = models.ForeignKey(User, models.CASCADE, related_name="memberships")
    role = models.CharField(max_length=16, choices=Role)
    paused_at = models.DateTimeField(null=True, blank=True)
    pause_reason = models.CharField(max_length=200, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["project", "user"], name="membership_unique_per_project"),
        ]

    def __str__(self) -> str:
        return f"{self.user} ({self.role}) in {self.project}"
