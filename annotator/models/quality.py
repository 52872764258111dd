"""What judgments are measured by, and what was measured: gold answers, stored figures, notes."""

from __future__ import annotations

from django.conf import settings
from django.db import models

from annotator.models.rankings import Verdict


class GoldAnswer(models.Model):
    """The right answer to a gold question, and why it is right."""

    comparison = models.OneToOneField("annotator.Comparison", models.CASCADE, related_name="gold_answer")
    verdict = models.CharField(max_length=16, choices=Verdict, default=Verdict.RANKED)
    ranks = models.JSONField(
        default=dict, blank=True, help_text="{completion id: rank}; 1 is best, equal ranks: either is right."
    )
    explanation = models.TextField(blank=True, max_length=2000, help_text="Shown as feedback.")
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.SET_NULL, null=True, blank=True, related_name="+"
    )
    created_at = models.DateTimeField(auto_now_add=True)

    def __str__(self) -> str:
        return f"gold answer to {self.comparison}"


class QualityReport(models.Model):
    """A project's agreement and reliability as last computed: too much work for each page view."""

    project = models.OneToOneField("annotator.Project", models.CASCADE, related_name="quality_report")
    last_ranking = models.PositiveBigIntegerField(help_text="The newest ranking that it knows.")
    figures = models.JSONField(default=dict)
    seconds = models.FloatField(help_text="What it took to compute.")
    computed_at = models.DateTimeField()

    def __str__(self) -> str:
        return f"quality of {self.project}"


class Note(models.Model):
    """What somebody tells the managers from the ranking page."""

    project = models.ForeignKey("annotator.Project", models.CASCADE, related_name="notes")
    comparison = models.ForeignKey(
        "annotator.Comparison", models.SET_NULL, null=True, blank=True, related_name="notes"
    )
    author = models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE, related_name="+")
    text = models.TextField(max_length=2000)
    created_at = models.DateTimeField(auto_now_add=True)
    done_at = models.DateTimeField(null=True, blank=True)
    done_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.SET_NULL, null=True, blank=True, related_name="+"
    )

    class Meta:
        ordering = ["-id"]
        indexes = [
            models.Index(
                fields=["project", "-id"], name="note_open", condition=models.Q(done_at__isnull=True)
            )
        ]

    def __str__(self) -> str:
        return f"note of {self.author}"
