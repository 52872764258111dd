"""Prompts (people see "tasks"), the imports they came in with, and their completions ("instructions")."""

from __future__ import annotations

import hashlib
import json
from typing import Any

from django.conf import settings
from django.db import models
from django.utils.translation import gettext_lazy as _


def hash_text(*parts: str) -> str:
    """SHA-256 of the parts; white space at the ends and runs of it make no difference."""
    canonical = json.dumps([" ".join(part.split()) for part in parts], ensure_ascii=False)
    return hashlib.sha256(canonical.encode()).hexdigest()


class Domain(models.TextChoices):
    CUSTOMER_SERVICE = "customer-service", _("Customer service")
    CODE = "code", _("Code")
    WRITING = "writing", _("Writing")
    MULTI_AGENT = "multi-agent", _("Several agents")
    GENERAL = "general", _("General")


class PromptImport(models.Model):
    """One file of tasks: what is in it, what was done to it, what it brought.

    Inspecting and importing are a worker's: `claim` names the one that has it, "" while it waits for one.
    """

    class State(models.TextChoices):
        QUEUED = "queued", _("Waiting")
        INSPECTING = "inspecting", _("Inspecting")
        READY = "ready", _("Ready to import")
        IMPORTING = "importing", _("Importing")
        DONE = "done", _("Done")
        FAILED = "failed", _("Failed")
        CANCELLED = "cancelled", _("Cancelled")
        UNDONE = "undone", _("Undone")

    project = models.ForeignKey("annotator.Project", models.CASCADE, related_name="imports")
    name = models.CharField(max_length=200)
    file = models.FileField(upload_to="imports/", max_length=300)
    sha256 = models.CharField(max_length=64)
    state = models.CharField(max_length=16, choices=State, default=State.QUEUED)
    options = models.JSONField(default=dict, blank=True, help_text="The steps of preparation as chosen.")
    forced_format = models.CharField(
        max_length=32, blank=True, help_text="As a manager says it is. Empty: recognised by its content."
    )
    format = models.CharField(max_length=32, blank=True)
    encoding = models.CharField(max_length=32, blank=True)
    default_domain = models.CharField(max_length=32, choices=Domain, default=Domain.GENERAL)
    report = models.JSONField(default=dict, blank=True, help_text="What each step did, with examples.")
    records = models.FileField(
        upload_to="imports/",
        max_length=300,
        blank=True,
        help_text="The prepared tasks, until they are imported.",
    )
    rejects = models.FileField(upload_to="imports/", max_length=300, blank=True)
    progress = models.JSONField(
        default=dict, blank=True, help_text='{"done", "total"} of what a worker does now.'
    )
    counts = models.JSONField(default=dict, blank=True, help_text="What it brought.")
    error = models.TextField(blank=True)
    claim = models.CharField(max_length=32, blank=True, editable=False)
    beaten_at = models.DateTimeField(null=True, blank=True, help_text="By the database's clock.")
    attempts = models.PositiveSmallIntegerField(
        default=0, help_text="Workers that have taken the present step."
    )
    finished_at = models.DateTimeField(null=True, blank=True)
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.SET_NULL, null=True, blank=True, related_name="+"
    )
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["-id"]

    def __str__(self) -> str:
        return f"{self.name} → {self.project}"

    @property
    def is_active(self) -> bool:
        """Whether a worker has it, or is to have it."""
        return self.state in (self.State.QUEUED, self.State.INSPECTING, self.State.IMPORTING)

    @property
    def may_inspect(self) -> bool:
        """Whether it may be inspected, anew too: while nothing of it is stored."""
        return self.state in (self.State.READY, self.State.FAILED, self.State.CANCELLED, self.State.UNDONE)


class PromptQuerySet(models.QuerySet["Prompt"]):
    def for_training(self) -> PromptQuerySet:
        return self.filter(is_held_out=False)

    def held_out(self) -> PromptQuerySet:
        return self.filter(is_held_out=True)


class Prompt(models.Model):
    """What the generator sees: a description and/or examples, in a domain and a language."""

    project = models.ForeignKey("annotator.Project", models.CASCADE, related_name="prompts")
    batch = models.ForeignKey(PromptImport, models.PROTECT, null=True, blank=True, related_name="prompts")
    text = models.TextField(max_length=20_000)
    examples = models.JSONField(default=list, blank=True, help_text='[{"input": …, "output": …}], shown')
    held_out_examples = models.JSONField(
        default=list, blank=True, help_text="The same form; never shown, only for the gold metric."
    )
    reference = models.TextField(
        blank=True, max_length=20_000, help_text="An instruction written by a person."
    )
    image = models.FileField(upload_to="prompts/", max_length=300, blank=True)
    image_text = models.CharField(
        max_length=2000, blank=True, help_text="What the image shows: for people who cannot see it."
    )
    domain = models.CharField(max_length=32, choices=Domain, default=Domain.GENERAL)
    language = models.CharField(max_length=16, default="en")
    hash = models.CharField(max_length=64, editable=False)
    is_held_out = models.BooleanField(default=False, editable=False)
    created_at = models.DateTimeField(auto_now_add=True)

    objects = PromptQuerySet.as_manager()

    class Meta:
        ordering = ["id"]
        constraints = [
            models.UniqueConstraint(fields=["project", "hash"], name="prompt_hash_unique_per_project"),
        ]
        indexes = [
            models.Index(fields=["project", "is_held_out"], name="prompt_project_held_out"),
            models.Index(fields=["domain", "-id"], name="prompt_by_domain"),
            models.Index(fields=["language", "-id"], name="prompt_by_language"),
        ]

    def __str__(self) -> str:
        return self.text[:80]

    def save(self, *args: Any, **kwargs: Any) -> None:
        self.fill_in()
        super().save(*args, **kwargs)

    def fill_in(self) -> None:
        """Set the hash, and the split that follows from it. Call before `bulk_create`.

        Both are of text and examples alone: an image may be given, changed and taken away.
        """
        self.hash = hash_text(self.text, json.dumps(self.examples, ensure_ascii=False, sort_keys=True))
        self.is_held_out = int(self.hash[:8], 16) < self.project.held_out_share * 0x1_0000_0000


class Completion(models.Model):
    """One candidate instruction for a prompt."""

    class Source(models.TextChoices):
        MODEL = "model", _("Written by a model")
        IMPORTED = "imported", _("Imported")
        EDITED = "edited", _("Improved by a person")

    prompt = models.ForeignKey(Prompt, models.CASCADE, related_name="completions")
    text = models.TextField(max_length=20_000)
    text_hash = models.CharField(max_length=64, editable=False)
    source = models.CharField(max_length=16, choices=Source, default=Source.MODEL)
    iteration = models.PositiveIntegerField(default=1)
    origin = models.CharField(
        max_length=200,
        blank=True,
        help_text="Where an imported text comes from, as its file says: a model, a person.",
    )
    batch = models.ForeignKey(PromptImport, models.PROTECT, null=True, blank=True, related_name="completions")
    author = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.SET_NULL, null=True, blank=True, related_name="+"
    )
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["id"]
        constraints = [
            models.UniqueConstraint(fields=["prompt", "text_hash"], name="completion_text_unique_per_prompt"),
        ]
        indexes = [
            # For the admin: those that no model wrote, which are few.
            models.Index(
                fields=["source", "-id"], name="completion_not_by_model", condition=~models.Q(source="model")
            ),
        ]

    def __str__(self) -> str:
        return self.text[:80]

    def save(self, *args: Any, **kwargs: Any) -> None:
        self.fill_in()
        super().save(*args, **kwargs)

    def fill_in(self) -> None:
        """Set the hash. Call before `bulk_create`."""
        self.text_hash = hash_text(self.text)
