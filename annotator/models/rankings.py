"""Rankings: what annotators said. Raw judgments are never changed, only superseded."""

from __future__ import annotations

from django.conf import settings
from django.db import models
from django.utils.translation import gettext_lazy as _

from annotator.models.comparisons import Comparison
from annotator.models.consent import Withdrawal


class Verdict(models.TextChoices):
    RANKED = "ranked", _("Ranked")
    ALL_BAD = "all_bad", _("All bad")
    CANNOT_JUDGE = "cannot_judge", _("Cannot judge")
    UNDONE = "undone", _("Undone")


class RankingQuerySet(models.QuerySet["Ranking"]):
    def live(self) -> RankingQuerySet:
        """What counts: neither superseded nor an undo."""
        return self.filter(is_live=True)

    def consented(self) -> RankingQuerySet:
        """Without those of annotators who have withdrawn from the ranking's project."""
        withdrawn = Withdrawal.objects.filter(
            project=models.OuterRef("comparison__project"),
            annotator=models.OuterRef("annotator"),
            taken_back_at=None,
        )
        return self.filter(~models.Exists(withdrawn))

    def given_here(self) -> RankingQuerySet:
        """What was judged in the project: all but the judgments that a file brought."""
        return self.filter(batch=None)

    def votes(self) -> RankingQuerySet:
        """The live rankings that say what people prefer: what models learn from and data is made of.

        Gold questions and repeats say something about the annotator, not about the texts; where a manager
        has adjudicated, that judgment stands in place of the others. Evaluations, where the texts of two
        models meet, are kept apart: what judges is never learned from. Imported judgments are among them; who
        has withdrawn is left out.
        """
        decides = models.Q(comparison__is_adjudicated=False) | models.Q(is_adjudication=True)
        counted = self.live().consented().filter(decides, comparison__is_queued=True)
        return counted.exclude(comparison__rule=Comparison.Rule.EVALUATION)


class Ranking(models.Model):
    comparison = models.ForeignKey("annotator.Comparison", models.CASCADE, related_name="rankings")
    assignment = models.ForeignKey("annotator.Assignment", models.CASCADE, related_name="rankings")
    annotator = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, related_name="rankings")
    verdict = models.CharField(max_length=16, choices=Verdict, default=Verdict.RANKED)
    ranks = models.JSONField(
        default=dict, blank=True, help_text="{completion id: rank}; 1 is best, equal ranks are ties."
    )
    strength = models.PositiveSmallIntegerField(
        null=True,
        blank=True,
        help_text="1 slightly, 2 better, 3 much; only for pairs. None: not asked or tie.",
    )
    reason = models.CharField(max_length=500, blank=True)
    flags = models.JSONField(default=dict, blank=True, help_text="{completion id: [flag, …]}")
    ratings = models.JSONField(default=dict, blank=True, help_text="{completion id: {scale: value}}")
    rationale = models.TextField(blank=True, max_length=5000)
    improved_text = models.TextField(blank=True, max_length=20_000)
    order = models.JSONField(default=list, help_text="Completion ids as they were shown.")
    seconds = models.FloatField(null=True, blank=True, help_text="Spent on the page, in seconds.")
    guideline_version = models.PositiveIntegerField(null=True, blank=True)
    idempotency_key = models.CharField(max_length=64)
    supersedes = models.OneToOneField(
        "self", models.PROTECT, null=True, blank=True, related_name="superseded_by"
    )
    is_live = models.BooleanField(default=True)
    is_simulated = models.BooleanField(default=False)
    batch = models.ForeignKey(
        "annotator.PromptImport",
        models.PROTECT,
        null=True,
        blank=True,
        related_name="rankings",
        help_text="The import that brought it; empty: given in this project.",
    )
    is_adjudication = models.BooleanField(
        default=False, help_text="A manager's decision where annotators disagreed."
    )
    gold_score = models.FloatField(
        null=True, blank=True, help_text="On a gold question: share of its order that was met, 0 to 1."
    )
    created_at = models.DateTimeField(auto_now_add=True)

    objects = RankingQuerySet.as_manager()

    class Meta:
        ordering = ["id"]
        constraints = [
            models.UniqueConstraint(
                fields=["comparison", "annotator"],
                condition=models.Q(is_live=True),
                name="ranking_one_live_per_annotator",
            ),
            models.UniqueConstraint(
                fields=["annotator", "idempotency_key"], name="ranking_idempotency_key_once"
            ),
            models.CheckConstraint(
                condition=models.Q(is_live=False) | ~models.Q(verdict="undone"), name="ranking_undo_not_live"
            ),
        ]
        indexes = [
            models.Index(fields=["annotator", "-id"], name="ranking_of_annotator"),
            models.Index(fields=["annotator", "created_at"], name="ranking_by_day"),
        ]

    def __str__(self) -> str:
        return f"{self.annotator} on {self.comparison}: {self.verdict}"

    @property
    def is_imported(self) -> bool:
        """Whether a file brought it: neither a person of this project nor a simulated one gave it."""
        return self.batch_id is not None
