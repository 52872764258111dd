"""Data that goes out: saved exports, and who does not want to be in them."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.http import HttpRequest
from django.utils.translation import gettext_lazy
from unfold.contrib.filters.admin import (
    AutocompleteSelectFilter,
    ChoicesDropdownFilter,
    RelatedDropdownFilter,
)
from unfold.decorators import display

from annotator.admin.actions import each
from annotator.admin.base import Group, ReadOnly, SiteAdmin
from annotator.admin.filters import PeriodFilter, RareFilter
from annotator.exports import jobs
from annotator.models import Export, Withdrawal

State = Export.State


@admin.register(Export)
class ExportAdmin(ReadOnly, SiteAdmin):
    group, icon = Group.DATA, "download"
    list_display = ["id", "name", "project", "shown_state", "attempts", "sha256", "created_by", "created_at"]
    list_filter = [
        ("state", ChoicesDropdownFilter),
        ("project", RelatedDropdownFilter),
        ("created_by", AutocompleteSelectFilter),
        ("created_at", PeriodFilter),
    ]
    search_fields = ["=id", "name__icontains", "sha256__istartswith", "project__name__istartswith"]
    search_help_text = gettext_lazy("Number, part of its name, beginning of its SHA-256")
    list_select_related = ["project", "created_by"]
    actions = ["repeat", "cancel", "remove"]

    @display(
        description=gettext_lazy("state"),
        label={State.DONE: "success", State.FAILED: "danger", State.RUNNING: "info", State.QUEUED: "info"},
    )
    def shown_state(self, row: Export) -> tuple[str, str]:
        return row.state, row.get_state_display()

    @each(gettext_lazy("Make once more, as a new one"))
    def repeat(self, request: HttpRequest, row: Export) -> bool:
        person: Any = request.user
        jobs.repeat(row, person)
        return True

    @each(
        gettext_lazy("Cancel"),
        confirm=gettext_lazy("What is being made is ended, and no file of it stays."),
        audited="cancelled the export",
    )
    def cancel(self, request: HttpRequest, row: Export) -> bool:
        return jobs.cancel(row)

    @each(
        gettext_lazy("Delete with its files"),
        confirm=gettext_lazy("These exports and their files are gone for good. They can be made anew."),
    )
    def remove(self, request: HttpRequest, row: Export) -> bool:
        person: Any = request.user
        jobs.delete(row, person)
        return True


class ForceFilter(RareFilter):
    title = gettext_lazy("state")
    parameter_name = "state"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        return [("force", gettext_lazy("In force")), ("back", gettext_lazy("Taken back"))]

    def queryset(self, request: HttpRequest, queryset: Any) -> Any:
        if self.value() not in ("force", "back"):
            return queryset
        return queryset.filter(taken_back_at__isnull=self.value() == "force")


@admin.register(Withdrawal)
class WithdrawalAdmin(ReadOnly, SiteAdmin):
    """An annotator's own decision: nobody makes it for them."""

    group, icon = Group.DATA, "do_not_disturb_on"
    list_display = ["id", "project", "annotator", "created_at", "taken_back_at"]
    list_filter = [
        ForceFilter,
        ("project", RelatedDropdownFilter),
        ("annotator", AutocompleteSelectFilter),
        ("created_at", PeriodFilter),
    ]
    search_fields = ["=id", "annotator__username__istartswith", "project__name__istartswith"]
    list_select_related = ["project", "annotator"]
