"""A project: whose tasks, in which language, asked in which form, with which guidelines."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.urls import reverse
from django.utils.translation import gettext_lazy as _


class ResponseFormat(models.TextChoices):
    PAIRWISE = "pairwise", _("Pairs")
    RANKING = "ranking", _("Ranking")
    BEST_WORST = "best_worst", _("Best and worst")


class GoldFeedback(models.TextChoices):
    """When people are told how they did on a gold question."""

    NEVER = "never", _("Never")
    QUALIFICATION = "qualification", _("In the qualification round")
    ALWAYS = "always", _("Always")


class SelectionStrategy(models.TextChoices):
    """How new comparisons are chosen once there is a reward model; before that, at random."""

    BY_HEADS = "d-optimal-heads", _("What teaches the model most, taken together (D-optimal)")
    BALD = "bald", _("What teaches the model most, one by one (BALD)")
    THOMPSON = "thompson", _("The best against each other (Thompson)")
    RANDOM = "random", _("At random")


class ProjectQuerySet(models.QuerySet["Project"]):
    def visible_to(self, user: Any) -> ProjectQuerySet:
        """The projects in which the user has a role; all of them for a superuser."""
        if user.is_superuser:
            return self
        return self.filter(memberships__user=user)


class ProjectManager(models.Manager["Project"]):
    """The projects that people work in."""

    def get_queryset(self) -> ProjectQuerySet:
        return ProjectQuerySet(self.model, using=self._db).filter(aside_of=None)

    def visible_to(self, user: Any) -> ProjectQuerySet:
        return self.get_queryset().visible_to(user)


def default_flags() -> list[str]:
    return ["harmful", "biased", "personal data", "wrong language", "broken"]


class Project(models.Model):
    name = models.CharField(max_length=80)
    slug = models.SlugField(max_length=80, unique=True)
    description = models.TextField(blank=True, max_length=2000)
    language = models.CharField(max_length=16, choices=settings.LANGUAGES, default="en")
    response_format = models.CharField(max_length=16, choices=ResponseFormat, default=ResponseFormat.PAIRWISE)
    completions_per_comparison = models.PositiveSmallIntegerField(
        default=2, validators=[MinValueValidator(2), MaxValueValidator(9)]
    )
    strength_scale = models.BooleanField(default=True)
    ask_tie = models.BooleanField(default=True)
    ask_all_bad = models.BooleanField(default=True)
    ask_rationale = models.BooleanField(default=True)
    ask_improved = models.BooleanField(default=True)
    show_reference = models.BooleanField(default=False)
    show_own_quality = models.BooleanField(
        default=False, help_text="Annotators see their own agreement with others."
    )
    attribute_scales = models.JSONField(default=list, blank=True)
    flags = models.JSONField(default=default_flags, blank=True)
    judgments_wanted = models.PositiveSmallIntegerField(
        default=1, validators=[MinValueValidator(1), MaxValueValidator(50)]
    )
    gold_rate = models.FloatField(default=0.05, validators=[MinValueValidator(0), MaxValueValidator(0.5)])
    gold_feedback = models.CharField(max_length=16, choices=GoldFeedback, default=GoldFeedback.QUALIFICATION)
    repeat_rate = models.FloatField(default=0.1, validators=[MinValueValidator(0), MaxValueValidator(0.5)])
    qualification_questions = models.PositiveSmallIntegerField(
        default=0,
        validators=[MaxValueValidator(100)],
        help_text="Gold questions before the real work; 0: none.",
    )
    pass_share = models.FloatField(
        default=0.7,
        validators=[MinValueValidator(0), MaxValueValidator(1)],
        help_text="Share of gold questions to get right, in the qualification round and later.",
    )
    fewest_seconds = models.FloatField(
        default=1.5,
        validators=[MinValueValidator(0), MaxValueValidator(600)],
        help_text="Half of somebody's judgments given faster than this are too fast; 0: never.",
    )
    auto_pause = models.BooleanField(default=True)
    lease_seconds = models.PositiveIntegerField(default=600, validators=[MinValueValidator(30)])
    selection_strategy = models.CharField(
        max_length=32, choices=SelectionStrategy, default=SelectionStrategy.BY_HEADS
    )
    asks_reliable = models.BooleanField(
        default=False, help_text="Only the more reliable half of those present is asked at a time."
    )
    held_out_share = models.FloatField(
        default=0.1,
        validators=[MinValueValidator(0), MaxValueValidator(0.9)],
        help_text=_("Share of the tasks that is kept from training for ever."),
    )
    model = models.CharField(
        max_length=500,
        blank=True,
        help_text=_("The generator's base: an embedded model, a folder or a .gguf file. Empty: the site's."),
    )
    paused_at = models.DateTimeField(
        null=True, blank=True, editable=False, help_text="Since then nobody is given comparisons."
    )
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.SET_NULL, null=True, blank=True, related_name="+"
    )
    created_at = models.DateTimeField(auto_now_add=True)

    aside_of = models.ForeignKey(
        "annotator.PromptImport",
        models.CASCADE,
        null=True,
        blank=True,
        editable=False,
        related_name="asides",
        help_text="Not a project but the place where an import's rows lie while they come in, or go.",
    )

    objects = ProjectManager()
    all_objects = models.Manager()

    class Meta:
        ordering = ["name"]
        constraints = [
            models.CheckConstraint(
                condition=models.Q(completions_per_comparison__range=(2, 9)),
                name="project_completions_2_to_9",
            ),
            models.CheckConstraint(
                condition=models.Q(held_out_share__range=(0, 0.9)), name="project_held_out_share"
            ),
        ]

    def __str__(self) -> str:
        return self.name

    def get_absolute_url(self) -> str:
        return reverse("project", args=[self.slug])

    @property
    def base_model(self) -> str:
        return self.model or settings.MODEL

    @property
    def guideline(self) -> Guideline | None:
        """The version in force."""
        return self.guidelines.order_by("-version").first()


class Guideline(models.Model):
    """One version of the guidelines (Markdown). A version is never changed, only followed."""

    project = models.ForeignKey(Project, models.CASCADE, related_name="guidelines")
    version = models.PositiveIntegerField()
    text = models.TextField(max_length=50_000)
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.SET_NULL, null=True, blank=True, related_name="+"
    )
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["-version"]
        constraints = [
            models.UniqueConstraint(fields=["project", "version"], name="guideline_version_unique"),
        ]

    def __str__(self) -> str:
        return f"{self.project}, guidelines v{self.version}"
