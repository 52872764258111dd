"""Saved exports: what was asked for, where its making stands, and the files that came of it."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Any

from django.conf import settings
from django.db import models
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext_lazy as _


class ExportQuerySet(models.QuerySet["Export"]):
    def active(self) -> ExportQuerySet:
        return self.filter(state__in=[Export.State.QUEUED, Export.State.RUNNING])


class Export(models.Model):
    """One export as it was asked for. The recipe and the frozen point never change: they give its bytes."""

    class State(models.TextChoices):
        QUEUED = "queued", _("Waiting")
        RUNNING = "running", _("Running")
        DONE = "done", _("Done")
        FAILED = "failed", _("Failed")
        CANCELLED = "cancelled", _("Cancelled")

    project = models.ForeignKey("annotator.Project", models.CASCADE, related_name="exports")
    name = models.CharField(max_length=120)
    recipe = models.JSONField(default=dict, help_text="Format, filters, splits, kind of file.")
    frozen = models.JSONField(default=dict, help_text="The point in time that it shows.")
    state = models.CharField(max_length=16, choices=State, default=State.QUEUED)
    read = models.PositiveBigIntegerField(default=0, help_text="Judgments read so far.")
    of = models.PositiveBigIntegerField(default=0, help_text="Of so many.")
    attempts = models.PositiveSmallIntegerField(default=0, help_text="How often a worker has begun it.")
    error = models.TextField(blank=True)
    manifest = models.JSONField(default=dict, blank=True)
    files = models.JSONField(default=list, blank=True, help_text='[{"name", "bytes", "sha256", "lines"}]')
    sha256 = models.CharField(max_length=64, blank=True, help_text="Of all its data files.")
    files_deleted_at = models.DateTimeField(null=True, blank=True)
    repeats = models.ForeignKey("self", models.SET_NULL, null=True, blank=True, related_name="repeated_by")
    claimed_at = models.DateTimeField(null=True, blank=True)
    consent_at = models.DateTimeField(
        null=True, blank=True, help_text="When it was looked up who had withdrawn: before the first line."
    )
    finished_at = models.DateTimeField(null=True, blank=True)
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.SET_NULL, null=True, blank=True, related_name="+"
    )
    created_at = models.DateTimeField(auto_now_add=True)

    objects = ExportQuerySet.as_manager()

    class Meta:
        ordering = ["-id"]
        indexes = [
            models.Index(
                fields=["state", "claimed_at"],
                name="export_active",
                condition=models.Q(state__in=["queued", "running"]),
            )
        ]

    def __str__(self) -> str:
        return self.name

    def get_absolute_url(self) -> str:
        return reverse("export", args=[self.project.slug, self.pk])

    @property
    def format(self) -> str:
        name: str = self.recipe["format"]
        return name

    @property
    def frozen_at(self) -> datetime:
        """The point in time that it shows."""
        return datetime.fromisoformat(self.frozen["at"])

    @property
    def is_active(self) -> bool:
        return self.state in (self.State.QUEUED, self.State.RUNNING)

    @property
    def folder(self) -> Path:
        """Where its files lie once it is done: each attempt has a folder of its own."""
        root: Path = settings.EXPORTS_DIR
        return root / str(self.pk) / str(self.attempts)

    @property
    def bytes(self) -> int:
        """Of all files together."""
        return sum(file["bytes"] for file in self.files)

    @property
    def seconds_waiting(self) -> float:
        return (timezone.now() - self.created_at).total_seconds()

    def saved_as(self, name: str) -> str:
        """What a browser names one of its files, so that those of several exports can lie together."""
        return f"{self.project.slug}-{self.pk}-{name.removeprefix('data/').replace('/', '-')}"

    def file_named(self, name: str) -> dict[str, Any] | None:
        """What is known of one of its files: only these names are ever opened."""
        return next((file for file in self.files if file["name"] == name), None)
