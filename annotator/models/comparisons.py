"""Comparisons: completions shown together; and assignments: one annotator's lease on one."""

from __future__ import annotations

from django.conf import settings
from django.db import models
from django.utils.translation import gettext_lazy as _


class ComparisonQuerySet(models.QuerySet["Comparison"]):
    def open(self) -> ComparisonQuerySet:
        """What the queue still hands out: the condition of the index `comparison_queue`."""
        return self.filter(is_queued=True, is_closed=False, judgments_taken__lt=models.F("judgments_wanted"))

    def gold(self) -> ComparisonQuerySet:
        """Gold questions: the condition of the index `comparison_gold`."""
        return self.filter(is_queued=False, reserved_for__isnull=True)

    def repeats_waiting(self) -> ComparisonQuerySet:
        """Repeats that were let go: the condition of the index `comparison_repeat_waiting`."""
        return self.filter(
            is_queued=False,
            reserved_for__isnull=False,
            is_closed=False,
            judgments_taken__lt=models.F("judgments_wanted"),
        )


class Comparison(models.Model):
    """A prompt with 2 to 9 completions, waiting for `judgments_wanted` rankings."""

    class Rule(models.TextChoices):
        RANDOM = "random", _("Random")
        THOMPSON = "thompson", _("Thompson")
        BALD = "bald", _("BALD")
        BY_HEADS = "d-optimal-heads", _("D-optimal")
        REPEAT = "repeat", _("Repeat")
        GOLD = "gold", _("Gold question")
        EVALUATION = "evaluation", _("Evaluation")
        IMPORTED = "imported", _("Imported")

    project = models.ForeignKey("annotator.Project", models.CASCADE, related_name="comparisons")
    prompt = models.ForeignKey("annotator.Prompt", models.CASCADE, related_name="comparisons")
    completions = models.ManyToManyField(
        "annotator.Completion", through="annotator.Slot", related_name="comparisons"
    )
    completions_key = models.CharField(
        max_length=200, editable=False, help_text="The completions' ids in ascending order, comma-separated."
    )
    rule = models.CharField(max_length=16, choices=Rule, default=Rule.RANDOM)
    priority = models.FloatField(default=0)
    iteration = models.PositiveIntegerField(default=1)
    judgments_wanted = models.PositiveSmallIntegerField(default=1)
    judgments_taken = models.PositiveSmallIntegerField(
        default=0, help_text="Live rankings plus live leases: what must not exceed the number wanted."
    )
    is_closed = models.BooleanField(default=False, help_text="Taken out of the queue by a manager.")
    is_queued = models.BooleanField(
        default=True, help_text="False for gold questions and repeats: dealt out beside the queue."
    )
    reserved_for = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        models.CASCADE,
        null=True,
        blank=True,
        related_name="+",
        help_text="The one person who is asked again, where it is a repeat.",
    )
    repeats = models.ForeignKey("self", models.CASCADE, null=True, blank=True, related_name="repeated_as")
    is_adjudicated = models.BooleanField(
        default=False, help_text="A manager's judgment stands in place of the annotators'."
    )
    created_at = models.DateTimeField(auto_now_add=True)

    objects = ComparisonQuerySet.as_manager()

    class Meta:
        ordering = ["-priority", "id"]
        constraints = [
            models.UniqueConstraint(
                fields=["project", "prompt", "completions_key", "rule"],
                condition=models.Q(reserved_for=None),
                name="comparison_set_unique",
            ),
            models.UniqueConstraint(
                fields=["reserved_for", "repeats"],
                condition=models.Q(reserved_for__isnull=False),
                name="comparison_repeated_once",
            ),
            models.CheckConstraint(
                condition=models.Q(is_queued=False) | ~models.Q(rule__in=["gold", "repeat"]),
                name="comparison_gold_and_repeats_not_queued",
            ),
            models.CheckConstraint(
                condition=models.Q(judgments_taken__lte=models.F("judgments_wanted")),
                name="comparison_taken_within_wanted",
            ),
        ]
        indexes = [
            # The queue: what is still open, best first. Its size is the open work, not all work.
            models.Index(
                fields=["project", "-priority", "id"],
                name="comparison_queue",
                condition=models.Q(
                    is_queued=True, is_closed=False, judgments_taken__lt=models.F("judgments_wanted")
                ),
            ),
            # Found among millions: the gold questions of a project, and repeats that wait for somebody.
            models.Index(
                fields=["project", "id"],
                name="comparison_gold",
                condition=models.Q(is_queued=False, reserved_for__isnull=True),
            ),
            models.Index(
                fields=["reserved_for", "id"],
                name="comparison_repeat_waiting",
                condition=models.Q(
                    is_queued=False,
                    reserved_for__isnull=False,
                    is_closed=False,
                    judgments_taken__lt=models.F("judgments_wanted"),
                ),
            ),
            # For the admin.
            models.Index(fields=["rule", "-id"], name="comparison_by_rule"),
            models.Index(fields=["-id"], name="comparison_closed", condition=models.Q(is_closed=True)),
            models.Index(
                fields=["-id"], name="comparison_adjudicated", condition=models.Q(is_adjudicated=True)
            ),
        ]

    def __str__(self) -> str:
        return f"comparison {self.pk}"


class Slot(models.Model):
    """One completion's place in a comparison."""

    comparison = models.ForeignKey(Comparison, models.CASCADE, related_name="slots")
    completion = models.ForeignKey("annotator.Completion", models.CASCADE, related_name="slots")
    position = models.PositiveSmallIntegerField()

    class Meta:
        ordering = ["position"]
        constraints = [
            models.UniqueConstraint(fields=["comparison", "completion"], name="slot_completion_once"),
            models.UniqueConstraint(fields=["comparison", "position"], name="slot_position_once"),
        ]

    def __str__(self) -> str:
        return f"{self.comparison}, place {self.position}"


class Assignment(models.Model):
    """One annotator's hold on one comparison. It is leased until it is submitted, skipped or let go."""

    class State(models.TextChoices):
        LEASED = "leased", _("Leased")
        SUBMITTED = "submitted", _("Submitted")
        SKIPPED = "skipped", _("Skipped")
        RELEASED = "released", _("Released")
        EXPIRED = "expired", _("Expired")

    comparison = models.ForeignKey(Comparison, models.CASCADE, related_name="assignments")
    annotator = models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE, related_name="assignments")
    state = models.CharField(max_length=16, choices=State, default=State.LEASED)
    order = models.JSONField(help_text="Completion ids as they are shown to this annotator.")
    skip_reason = models.CharField(max_length=500, blank=True)
    leased_until = models.DateTimeField()
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["comparison", "annotator"],
                condition=models.Q(state="leased"),
                name="assignment_one_live_lease",
            ),
        ]
        indexes = [
            models.Index(
                fields=["leased_until"], name="assignment_lease_end", condition=models.Q(state="leased")
            ),
            models.Index(fields=["annotator", "state", "-id"], name="assignment_of_annotator"),
            # For the admin: those that came to nothing, which are few.
            models.Index(
                fields=["state", "-id"],
                name="assignment_come_to_nothing",
                condition=~models.Q(state="leased") & ~models.Q(state="submitted"),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.annotator} on {self.comparison} ({self.state})"
