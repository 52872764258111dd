"""Projects, their guidelines, what annotators told their managers, and what happened in them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.contrib import admin
from django.db.models import Model, QuerySet
from django.http import HttpRequest
from django.utils import timezone
from django.utils.html import format_html
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from unfold.admin import TabularInline
from unfold.contrib.filters.admin import (
    AutocompleteSelectFilter,
    ChoicesDropdownFilter,
    RelatedDropdownFilter,
)
from unfold.decorators import display

from annotator import audit, events, pausing
from annotator.admin.actions import each
from annotator.admin.base import Group, Many, ReadOnly, SiteAdmin
from annotator.admin.filters import DistinctFilter, PausedFilter, PeriodFilter, SinceFilter
from annotator.models import Event, Guideline, Membership, Note, Project, Prompt, Ranking


class MembershipInline(ReadOnly, TabularInline):
    """To look at; they are changed on their own page, which minds the last manager and the leases."""

    model = Membership
    fields = ["user", "role", "paused_at", "reliability"]
    show_change_link = True
    per_page = 20
    extra = 0
    ordering = ["role", "id"]

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        return super().get_queryset(request).select_related("user", "project")


@admin.register(Project)
class ProjectAdmin(SiteAdmin):
    group, icon = Group.PROJECTS, "folder"
    list_display = ["name", "slug", "state", "response_format", "language", "judgments_wanted", "created_at"]
    list_filter = [
        PausedFilter,
        ("response_format", ChoicesDropdownFilter),
        ("language", ChoicesDropdownFilter),
        ("created_at", PeriodFilter),
    ]
    search_fields = ["=id", "name__icontains", "slug__istartswith"]
    inlines = [MembershipInline]
    actions = ["pause", "resume"]
    warn_unsaved_form = True
    # What is asked and how is changed on the project's settings page, which knows what fits together.
    editable = ("name", "slug", "description", "language")

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> list[str]:
        fields = [field.name for field in self.opts.fields if not field.primary_key]
        return [name for name in fields if name not in self.editable]

    def has_add_permission(self, request: HttpRequest) -> bool:
        """A project is founded on its own page, with guidelines and a manager."""
        return False

    @display(description=gettext_lazy("state"), label={"working": "success", "paused": "warning"})
    def state(self, row: Project) -> tuple[str, str]:
        return ("paused", _("Paused")) if row.paused_at else ("working", _("At work"))

    def reasons_to_keep(self, objs: Sequence[Model] | QuerySet[Any]) -> list[str]:
        """A project of which there is nothing but its settings can go; others hold history."""
        projects = [row.pk for row in objs]
        if Ranking.objects.filter(comparison__project__in=projects).exists():
            return [_("judgments, which are kept. Pause the project instead.")]
        if Prompt.objects.filter(project__in=projects).exists():
            return [_("tasks and what was made of them. Pause the project instead.")]
        return []

    def note(self, request: HttpRequest, obj: Model, action: str, changes: audit.Changes) -> None:
        """Into the project's events as well."""
        assert isinstance(obj, Project)  # noqa: S101
        person: Any = request.user
        if action == "deleted":
            super().note(request, obj, action, changes)
        elif action == "added":
            events.record(obj, person, "created the project", obj.name, target=obj)
        elif changes:
            names = ", ".join(changes)
            events.record(obj, person, "changed the settings", names, target=obj, changes=changes)

    @each(
        gettext_lazy("Pause: hand nothing out"),
        permission="change",
        confirm=gettext_lazy(
            "Nobody in these projects is given comparisons until somebody resumes them. What people hold, "
            "they may still submit."
        ),
    )
    def pause(self, request: HttpRequest, row: Project) -> bool:
        person: Any = request.user
        return pausing.pause(row, person)

    @each(gettext_lazy("Resume"), permission="change")
    def resume(self, request: HttpRequest, row: Project) -> bool:
        person: Any = request.user
        return pausing.resume(row, person)


@admin.register(Guideline)
class GuidelineAdmin(ReadOnly, SiteAdmin):
    """A version is never changed, only followed by another: on the project's settings page."""

    group, icon = Group.PROJECTS, "menu_book"
    list_display = ["project", "version", "created_by", "created_at"]
    list_filter = [("project", RelatedDropdownFilter), ("created_at", PeriodFilter)]
    search_fields = ["=id", "project__name__istartswith", "text"]
    list_select_related = ["project", "created_by"]


class DoneFilter(SinceFilter):
    """Whether a note is done with."""

    column = "done_at"
    before, after = ("open", gettext_lazy("Open")), ("done", gettext_lazy("Done"))


@admin.register(Note)
class NoteAdmin(ReadOnly, SiteAdmin):
    group, icon = Group.PROJECTS, "chat"
    list_display = ["id", "project", "author", "text", "created_at", "done_at"]
    list_filter = [
        DoneFilter,
        ("project", RelatedDropdownFilter),
        ("author", AutocompleteSelectFilter),
        ("created_at", PeriodFilter),
    ]
    search_fields = ["=id", "text", "author__username__istartswith"]
    list_select_related = ["project", "author"]
    actions = ["done", "not_done"]

    @each(gettext_lazy("Mark as done"), audited="marked as done")
    def done(self, request: HttpRequest, row: Note) -> bool:
        open_note = Note.objects.filter(pk=row.pk, done_at=None)
        return bool(open_note.update(done_at=timezone.now(), done_by=request.user))

    @each(gettext_lazy("Mark as open"), audited="marked as open")
    def not_done(self, request: HttpRequest, row: Note) -> bool:
        done_note = Note.objects.filter(pk=row.pk, done_at__isnull=False)
        return bool(done_note.update(done_at=None, done_by=None))


class VerbFilter(DistinctFilter):
    title = gettext_lazy("what")
    parameter_name = column = "verb"


@admin.register(Event)
class EventAdmin(ReadOnly, Many, SiteAdmin):
    group, icon = Group.PROJECTS, "history"
    list_display = ["created_at", "project", "actor", "verb", "subject", "place"]
    list_filter = [("project", RelatedDropdownFilter), VerbFilter, ("created_at", PeriodFilter)]
    search_names = {"project": "name"}
    list_select_related = ["project", "actor"]

    @display(description=gettext_lazy("place"))
    def place(self, row: Event) -> str:
        if not row.url.startswith("/"):
            return "–"
        return format_html('<a href="{}">{}</a>', row.url, _("Open"))
