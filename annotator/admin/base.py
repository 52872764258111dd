"""What the admin of every model is made of: bounded lists, an audit log, history that nobody changes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import Enum
from typing import Any, ClassVar

from django.contrib.admin import ShowFacets
from django.db.models import Model, QuerySet
from django.forms import BaseForm
from django.http import HttpRequest, HttpResponse
from django.utils.translation import gettext_lazy
from unfold.admin import ModelAdmin

from annotator import audit
from annotator.admin import searching
from annotator.admin.actions import project_of
from annotator.admin.paging import BoundedPaginator
from annotator.audit_words import in_words
from annotator.models import AuditEntry

HISTORY = 100
"""Entries of the audit log on a row's page of its history."""


class Group(Enum):
    """Under which heading of the side bar a model stands, in this order."""

    PROJECTS = gettext_lazy("Projects")
    PEOPLE = gettext_lazy("People")
    TASKS = gettext_lazy("Tasks")
    JUDGMENTS = gettext_lazy("Judgments")
    DATA = gettext_lazy("Data going out")
    PROGRAMS = gettext_lazy("Programs")
    MODELS = gettext_lazy("Models")
    TRACES = gettext_lazy("Traces")
    OTHER = gettext_lazy("Other")


class SiteAdmin(ModelAdmin):
    """A model of which the site's staff may change something."""

    group: ClassVar[Group] = Group.OTHER
    icon: ClassVar[str] = "table_rows"
    """A name of Google's Material Symbols."""
    paginator = BoundedPaginator
    show_full_result_count = False
    show_facets = ShowFacets.NEVER  # each choice counted would be all rows read, several times
    list_per_page = 50
    list_max_show_all = 0
    list_filter_submit = True
    list_before_template = "admin/_list_note.html"
    ordering: ClassVar[Any] = ("-id",)

    def has_operate_permission(self, request: HttpRequest) -> bool:
        """For actions, also on what cannot be edited: Django's permission to change this model."""
        return request.user.has_perm(f"{self.opts.app_label}.change_{self.opts.model_name}")

    def reasons_to_keep(self, objs: Sequence[Model] | QuerySet[Any]) -> list[str]:
        """What deleting these would take along, where that must not happen."""
        return []

    def get_deleted_objects(self, objs: Any, request: HttpRequest) -> Any:
        """Django's, but what must be kept is found before everything that hangs on it is read."""
        if reasons := self.reasons_to_keep(objs):
            return [], {}, set(), reasons
        return super().get_deleted_objects(objs, request)

    def history_view(
        self, request: HttpRequest, object_id: str, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """Above what Django keeps of the admin, all that the audit log has of the row."""
        entries: list[AuditEntry] = []
        if request.user.has_perm("annotator.view_auditentry"):
            found = AuditEntry.objects.filter(object_type=self.opts.label_lower, object_id=object_id)
            entries = list(found[:HISTORY])
        context = {"audit": [(entry, in_words(entry.action)) for entry in entries], **(extra_context or {})}
        return super().history_view(request, object_id, context)

    def note(self, request: HttpRequest, obj: Model, action: str, changes: audit.Changes) -> None:
        """Write into the audit log what was done to a row by its form."""
        audit.record(action, project=project_of(obj), target=obj, changes=changes)

    def construct_change_message(
        self, request: HttpRequest, form: BaseForm, formsets: Any, add: bool = False
    ) -> Any:
        """Django's for its own history; before that, what was there before and after for ours."""
        changes = audit.changes_of(form)
        for formset in formsets or []:
            for part in formset.forms:
                for field, values in audit.changes_of(part).items():
                    changes[f"{formset.model._meta.model_name} {part.instance.pk}: {field}"] = values
        self.note(request, getattr(form, "instance"), "added" if add else "changed", changes)  # noqa: B009
        return super().construct_change_message(request, form, formsets, add)

    def delete_model(self, request: HttpRequest, obj: Model) -> None:
        self.note(request, obj, "deleted", {})
        super().delete_model(request, obj)

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> None:
        for obj in queryset:
            self.note(request, obj, "deleted", {})
        super().delete_queryset(request, queryset)


class ReadOnly:
    """What has happened is looked at, not edited."""

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


class Many:
    """A model with millions of rows: searched by numbers and names, and by words in the newest only."""

    search_fields = ("pk",)  # shows the box; what is searched is said below
    search_numbers: ClassVar[Sequence[str]] = ("pk",)
    search_names: ClassVar[Mapping[str, str]] = {}
    search_words: ClassVar[Sequence[str]] = ()
    search_window = searching.WINDOW
    list_disable_select_all = True
    long_columns: ClassVar[Sequence[str]] = ()
    """Columns that a list has no use for: not read."""

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        rows: QuerySet[Any] = super().get_queryset(request)  # type: ignore[misc]
        match = request.resolver_match
        is_list = match is not None and (match.url_name or "").endswith("_changelist")
        return rows.defer(*self.long_columns) if is_list and request.method == "GET" else rows

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Any], search_term: str
    ) -> tuple[QuerySet[Any], bool]:
        text = search_term.strip()
        if not text:
            return queryset, False
        rows = searching.found(
            queryset,
            text,
            numbers=self.search_numbers,
            names=self.search_names,
            words=self.search_words,
        )
        return rows, False
