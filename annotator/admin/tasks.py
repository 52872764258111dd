"""Tasks: the imports they came in with, the prompts, and the completions written for them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.contrib import admin
from django.db.models import Model, QuerySet
from django.http import HttpRequest
from django.utils.text import Truncator
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from unfold.contrib.filters.admin import (
    BooleanRadioFilter,
    ChoicesDropdownFilter,
    RelatedDropdownFilter,
)
from unfold.decorators import display

from annotator.admin.actions import CannotDo, each
from annotator.admin.base import Group, Many, ReadOnly, SiteAdmin
from annotator.admin.filters import DistinctFilter, PeriodFilter, ProjectFilter, UnusualFilter
from annotator.models import Completion, Prompt, PromptImport
from annotator.prompts import importing, inspecting, undoing

State = PromptImport.State
SHOWN = 80
"""Characters of a text in a list."""


@admin.register(PromptImport)
class PromptImportAdmin(ReadOnly, SiteAdmin):
    group, icon = Group.TASKS, "upload_file"
    list_display = ["name", "project", "shown_state", "format", "created_by", "created_at", "finished_at"]
    list_filter = [
        ("state", ChoicesDropdownFilter),
        ("project", RelatedDropdownFilter),
        ("created_at", PeriodFilter),
    ]
    search_fields = ["=id", "name__icontains", "sha256__istartswith", "project__name__istartswith"]
    search_help_text = gettext_lazy("Number, part of the file's name, beginning of its SHA-256")
    list_select_related = ["project", "created_by"]
    actions = ["requeue", "cancel", "undo"]

    @display(
        description=gettext_lazy("state"),
        label={
            **{State.DONE: "success", State.FAILED: "danger", State.READY: "warning"},
            **{State.QUEUED: "info", State.INSPECTING: "info", State.IMPORTING: "info"},
        },
    )
    def shown_state(self, row: PromptImport) -> tuple[str, str]:
        return row.state, row.get_state_display()

    @each(gettext_lazy("Inspect once more"), audited="requeued the import")
    def requeue(self, request: HttpRequest, row: PromptImport) -> bool:
        """Nothing of what failed, was cancelled or undone is stored, so that it can begin anew."""
        options, answers = inspecting.options_of(row)
        return row.may_inspect and importing.inspect_again(
            row,
            options=options,
            answers=answers,
            default_domain=row.default_domain,
            family=row.forced_format,
        )

    @each(
        gettext_lazy("Cancel"),
        confirm=gettext_lazy("What runs is ended, and nothing of it is stored."),
        audited="cancelled the import",
    )
    def cancel(self, request: HttpRequest, row: PromptImport) -> bool:
        return importing.cancel_import(row)

    @each(
        gettext_lazy("Undo"),
        confirm=gettext_lazy(
            "All that these imports brought is taken out; nothing, where people have worked with some of it."
        ),
    )
    def undo(self, request: HttpRequest, row: PromptImport) -> bool:
        person: Any = request.user
        try:
            undoing.undo(row, person)
        except undoing.NotDone:
            return False
        except undoing.InUse as error:
            raise CannotDo(_("people have worked with what it brought.")) from error
        return True


class LanguageFilter(DistinctFilter):
    title = gettext_lazy("language")
    parameter_name = column = "language"


@admin.register(Prompt)
class PromptAdmin(Many, SiteAdmin):
    group, icon = Group.TASKS, "task"
    list_display = ["id", "beginning", "project", "domain", "language", "is_held_out", "created_at"]
    list_filter = [
        ("project", RelatedDropdownFilter),
        ("domain", ChoicesDropdownFilter),
        LanguageFilter,
        ("is_held_out", BooleanRadioFilter),
        ("created_at", PeriodFilter),
    ]
    search_numbers = ["pk", "batch"]
    search_words = ["text"]
    search_help_text = gettext_lazy("Number of the task or its import, or words")
    long_columns = ["examples", "held_out_examples", "reference", "image_text"]
    list_select_related = ["project"]
    # The text and its examples decide the hash, and with it on which side of the split the task is.
    readonly_fields = ["project", "batch", "text", "examples", "hash", "is_held_out", "created_at"]
    exclude = ["image", "image_text"]  # they come in by the task's page, which checks them

    @display(description=gettext_lazy("text"))
    def beginning(self, row: Prompt) -> str:
        return Truncator(row.text).chars(SHOWN)

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def reasons_to_keep(self, objs: Sequence[Model] | QuerySet[Any]) -> list[str]:
        written = Completion.objects.filter(prompt__in=[row.pk for row in objs]).exists()
        return [_("instructions and what was said of them, which are kept.")] if written else []


class SourceFilter(UnusualFilter):
    title = gettext_lazy("source")
    parameter_name = column = "source"
    choices_of = Completion.Source.choices
    usual = (Completion.Source.MODEL,)


class OfPromptsProject(ProjectFilter):
    through = "prompt"


@admin.register(Completion)
class CompletionAdmin(ReadOnly, Many, SiteAdmin):
    group, icon = Group.TASKS, "notes"
    list_display = ["id", "beginning", "project", "source", "origin", "iteration", "author", "created_at"]
    list_filter = [OfPromptsProject, SourceFilter, ("created_at", PeriodFilter)]
    search_numbers = ["pk", "prompt", "batch"]
    search_names = {"author": "username"}
    search_words = ["text"]
    search_help_text = gettext_lazy("Number of it, its task or its import, a user name, or words")
    list_select_related = ["author", "prompt__project"]
    raw_id_fields = ["prompt", "batch", "author"]

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        rows = super().get_queryset(request)
        return rows.defer(
            "prompt__examples", "prompt__held_out_examples", "prompt__reference", "prompt__text"
        )

    @display(description=gettext_lazy("text"))
    def beginning(self, row: Completion) -> str:
        return Truncator(row.text).chars(SHOWN)

    @display(description=gettext_lazy("project"))
    def project(self, row: Completion) -> str:
        return str(row.prompt.project)
