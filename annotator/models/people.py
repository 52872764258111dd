"""Users, and the role each of them has in each project."""

from __future__ import annotations

from django.contrib.auth.models import AbstractUser
from django.db import models
from django.utils.translation import gettext_lazy as _


class User(AbstractUser):
    is_simulated = models.BooleanField(
        default=False, help_text="A program that ranks by the gold metric, for demonstration and tests."
    )
    is_imported = models.BooleanField(
        default=False, help_text="Nobody here: stands for who gave the judgments of an imported file."
    )

    class Meta(AbstractUser.Meta):
        pass

    def __str__(self) -> str:
        return self.get_full_name() if self.is_imported else self.username

    def get_full_name(self) -> str:
        """The name; of somebody who came with a file, as the file has it, and its source."""
        if self.is_imported:
            return " · ".join(part for part in (self.first_name, self.last_name) if part)
        return super().get_full_name()


class Role(models.TextChoices):
    ANNOTATOR = "annotator", _("Annotator")
    MANAGER = "manager", _("Manager")
    RESEARCHER = "researcher", _("Researcher")


class PauseKind(models.TextChoices):
    """Why somebody's work is paused; all but the first are found by the site itself."""

    MANUAL = "manual", _("By a manager")
    QUALIFICATION = "qualification", _("Qualification not passed")
    GOLD = "gold", _("Gold questions")
    REPEATS = "repeats", _("Contradicts themselves")
    TOO_FAST = "too_fast", _("Too fast")
    POSITION = "position", _("Prefers a position")


class Membership(models.Model):
    project = models.ForeignKey("annotator.Project", models.CASCADE, related_name="memberships")
    user = models.ForeignKey(User, models.CASCADE, related_name="memberships")
    role = models.CharField(max_length=16, choices=Role)
    paused_at = models.DateTimeField(null=True, blank=True)
    pause_kind = models.CharField(max_length=16, choices=PauseKind, blank=True)
    pause_reason = models.CharField(max_length=200, blank=True, help_text="A manager's own words.")
    pause_facts = models.JSONField(default=dict, blank=True, help_text="The figures behind the pause.")
    qualified_at = models.DateTimeField(null=True, blank=True)
    watched_from = models.DateTimeField(
        null=True, blank=True, help_text="Judgments before a lifted pause do not pause again."
    )
    reliability = models.FloatField(
        null=True, blank=True, help_text="η as the newest reward model has it; empty: unknown."
    )
    reliability_error = models.FloatField(null=True, blank=True, help_text="Standard error of its logit.")
    looked_at = models.DateTimeField(
        null=True, blank=True, help_text="When they last wanted work, where only some are asked at a time."
    )
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["project", "user"], name="membership_unique_per_project"),
        ]

    def __str__(self) -> str:
        return f"{self.user} ({self.role}) in {self.project}"


class Invitation(models.Model):
    """A link that makes whoever follows it a member. Only a hash of its secret is stored."""

    project = models.ForeignKey("annotator.Project", models.CASCADE, related_name="invitations")
    role = models.CharField(max_length=16, choices=Role, default=Role.ANNOTATOR)
    secret_hash = models.CharField(max_length=64, unique=True, editable=False)
    note = models.CharField(max_length=100, blank=True, help_text="For whom it is.")
    expires_at = models.DateTimeField()
    places = models.PositiveSmallIntegerField(default=1, help_text="How many people may join with it.")
    places_taken = models.PositiveSmallIntegerField(default=0)
    revoked_at = models.DateTimeField(null=True, blank=True)
    created_by = models.ForeignKey(User, models.SET_NULL, null=True, blank=True, related_name="+")
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["-id"]
        constraints = [
            models.CheckConstraint(
                condition=models.Q(places_taken__lte=models.F("places")), name="invitation_places_within"
            ),
        ]

    def __str__(self) -> str:
        return f"invitation to {self.project} as {self.role}"
