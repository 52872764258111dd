"""The audit log: to look at, to search, and to take out as CSV."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from django.contrib import admin
from django.contrib.admin.options import IncorrectLookupParameters
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponseRedirect, StreamingHttpResponse
from django.http.response import HttpResponseBase
from django.urls import NoReverseMatch, reverse
from django.utils.html import format_html, format_html_join
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from unfold.contrib.filters.admin import (
    AutocompleteSelectFilter,
    ChoicesDropdownFilter,
    RelatedDropdownFilter,
)
from unfold.decorators import action, display

from annotator import audit
from annotator.admin.base import Group, Many, ReadOnly, SiteAdmin
from annotator.admin.filters import DistinctFilter, PeriodFilter
from annotator.audit_words import in_words
from annotator.models import AuditEntry
from annotator.quality.tables import as_csv

COLUMNS = [
    *("id", "at", "actor_id", "actor_name", "source", "action", "project_id"),
    *("object_type", "object_id", "object_name", "changes", "details", "address"),
]
CHUNK = 2_000


class ActionFilter(DistinctFilter):
    title = gettext_lazy("action")
    parameter_name = column = "action"

    def label(self, value: str) -> str:
        return in_words(value)


class ObjectTypeFilter(DistinctFilter):
    title = gettext_lazy("kind of object")
    parameter_name = column = "object_type"


@admin.register(AuditEntry)
class AuditEntryAdmin(ReadOnly, Many, SiteAdmin):
    group, icon = Group.TRACES, "policy"
    list_display = ["at", "who", "what", "thing", "project", "shown_source", "address"]
    list_filter = [
        ActionFilter,
        ("actor", AutocompleteSelectFilter),
        ("project", RelatedDropdownFilter),
        ("source", ChoicesDropdownFilter),
        ObjectTypeFilter,
        ("at", PeriodFilter),
    ]
    search_names = {"actor": "username", "project": "name"}
    search_words = ["object_name", "actor_name", "address"]
    search_help_text = gettext_lazy("Number, user name, project, or words and addresses")
    long_columns = ["changes", "details"]
    list_select_related = ["actor", "project"]
    list_display_links = ["at", "what"]
    fields = ["at", "who", "shown_source", "address", "what", "thing", "project", "shown_changes", "details"]
    readonly_fields = ["who", "shown_source", "what", "thing", "shown_changes"]
    actions_list = ["download"]

    @display(description=gettext_lazy("who"))
    def who(self, row: AuditEntry) -> str:
        return row.actor_name or _("The site")

    @display(description=gettext_lazy("action"))
    def what(self, row: AuditEntry) -> str:
        return in_words(row.action)

    @display(description=gettext_lazy("by way of"), label=True)
    def shown_source(self, row: AuditEntry) -> str:
        return row.get_source_display()

    @display(description=gettext_lazy("object"))
    def thing(self, row: AuditEntry) -> str:
        """Its name then; linked to what it is now, where the admin has a page for it."""
        name = row.object_name or "–"
        try:
            url = reverse(f"admin:{row.object_type.replace('.', '_')}_change", args=[row.object_id])
        except NoReverseMatch:
            return name
        return format_html('<a href="{}">{}</a>', url, name)

    @display(description=gettext_lazy("changes"))
    def shown_changes(self, row: AuditEntry) -> str:
        if not row.changes:
            return "–"
        lines = ((field, _shown(before), _shown(after)) for field, (before, after) in row.changes.items())
        return format_html("<ul>{}</ul>", format_html_join("", "<li>{}: {} → {}</li>", lines))

    @action(description=gettext_lazy("Download as CSV"), icon="download", permissions=["view"])
    def download(self, request: HttpRequest) -> HttpResponseBase:
        """What the list shows (its filters and its search, not only its first page), newest first."""
        try:
            rows = self.get_changelist_instance(request).get_queryset(request)
        except IncorrectLookupParameters:
            return HttpResponseRedirect(request.path)
        audit.record("downloaded", name="audit.csv", details=dict(request.GET.items()))
        return StreamingHttpResponse(
            _csv(rows),
            content_type="text/csv; charset=utf-8",
            headers={"Content-Disposition": 'attachment; filename="audit.csv"'},
        )


def _shown(value: Any) -> str:
    return "–" if value is None or value == "" else str(value)


def _csv(rows: QuerySet[AuditEntry]) -> Iterator[bytes]:
    yield ("\ufeff" + as_csv([COLUMNS])).encode()
    for chunk in _chunks(rows):
        yield as_csv([[str(cell) if cell is not None else "" for cell in row] for row in chunk]).encode()


def _chunks(rows: QuerySet[AuditEntry]) -> Iterator[Iterable[tuple[Any, ...]]]:
    """By number, so that each chunk costs the same."""
    rows = rows.order_by("-pk").select_related(None).defer(None)
    last: int | None = None
    while True:
        below = rows if last is None else rows.filter(pk__lt=last)
        chunk = list(below.values_list(*COLUMNS)[:CHUNK])
        if not chunk:
            return
        yield chunk
        last = chunk[-1][0]
