"""Filters for lists of millions of rows: each choice is found by an index, or met often enough to be found.

Numbers grow with time in every table. So a period becomes a range of numbers, which goes with every other
filter's index, and needs none of its own.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime, time, timedelta
from typing import Any, ClassVar

from django.contrib import admin
from django.db import connection
from django.db.models import Exists, Model, OuterRef, Q, QuerySet
from django.http import HttpRequest
from django.utils import timezone
from django.utils.dateparse import parse_date
from django.utils.translation import gettext_lazy as _
from unfold.contrib.filters.admin import DropdownFilter, RangeDateFilter

from annotator.models import Project
from annotator.periods import first_since

MOST_PROJECTS = 500
FEW = 20_000
"""A project with so many rows is found from its side; a larger one by walking through all, newest first."""


class PeriodFilter(RangeDateFilter):
    """From one day to another, both included."""

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        first, last = (self._day(end) for end in ("from", "to"))
        rows = queryset.model._default_manager.all()
        if first is not None:
            queryset = queryset.filter(pk__gte=first_since(rows, self.field_path, first))
        if last is not None:
            end = last + timedelta(days=1)
            queryset = queryset.filter(pk__lt=first_since(rows, self.field_path, end))
        return queryset

    def _day(self, end: str) -> datetime | None:
        try:
            day: date | None = parse_date(str(self.used_parameters.get(f"{self.parameter_name}_{end}", "")))
        except ValueError:
            return None
        return timezone.make_aware(datetime.combine(day, time.min)) if day else None


class RareFilter(DropdownFilter):
    """Choices that are few among many, each with an index of its own. The common ones are not offered."""

    conditions: ClassVar[dict[str, tuple[Any, Q]]]
    """value: (label, condition)"""

    def lookups(self, request: HttpRequest, model_admin: admin.ModelAdmin[Any]) -> list[tuple[str, Any]]:
        return [(value, label) for value, (label, _condition) in self.conditions.items()]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        _label, condition = self.conditions.get(self.value() or "", ("", Q()))
        return queryset.filter(condition)


class UnusualFilter(DropdownFilter):
    """A column's choices, where an index holds all rows but those of the usual ones."""

    column: ClassVar[str]
    choices_of: ClassVar[Sequence[tuple[str, Any]]]
    usual: ClassVar[tuple[str, ...]]

    def lookups(self, request: HttpRequest, model_admin: admin.ModelAdmin[Any]) -> Sequence[tuple[str, Any]]:
        return self.choices_of

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        value = self.value()
        if value is None or value not in dict(self.choices_of):
            return queryset
        queryset = queryset.filter(**{self.column: value})
        if value not in self.usual:
            for common in self.usual:  # the index's own condition, by which the database knows it fits
                queryset = queryset.exclude(**{self.column: common})
        return queryset


class ProjectFilter(DropdownFilter):
    """The project of rows that know it through another row."""

    title = _("project")
    parameter_name = "project"
    through: ClassVar[str]
    """The foreign key to the row that has a project."""

    def lookups(self, request: HttpRequest, model_admin: admin.ModelAdmin[Any]) -> list[tuple[str, str]]:
        rows = Project.objects.order_by("name").values_list("pk", "name")[:MOST_PROJECTS]
        return [(str(pk), name) for pk, name in rows]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        value = self.value() or ""
        if not value.isdecimal():
            return queryset
        between: Any = queryset.model._meta.get_field(self.through).related_model
        of_project = between._default_manager.filter(project=int(value)).order_by()
        if of_project[: FEW + 1].count() > FEW:
            # As a condition on each row: of a join the database might read the large side first.
            return queryset.filter(Exists(of_project.filter(pk=OuterRef(f"{self.through}_id"))))
        found = queryset.model._default_manager.filter(**{f"{self.through}__in": of_project})
        return queryset.filter(pk__in=found.order_by().values("pk"))


class DistinctFilter(DropdownFilter):
    """The values there are of an indexed column, found by leaping from one to the next."""

    column: ClassVar[str]
    MOST: ClassVar[int] = 100

    def label(self, value: str) -> str:
        return value

    def lookups(self, request: HttpRequest, model_admin: admin.ModelAdmin[Any]) -> list[tuple[str, str]]:
        return [(value, self.label(value)) for value in distinct(model_admin.model, self.column, self.MOST)]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        return queryset.filter(**{self.column: self.value()}) if self.value() else queryset


def distinct(model: type[Model], column: str, most: int) -> list[str]:
    """A column's values in order: one query that leaps along its index, whatever the number of rows."""
    with connection.cursor() as cursor:
        quote = connection.ops.quote_name
        table, name = quote(model._meta.db_table), quote(column)
        cursor.execute(
            f"WITH RECURSIVE leap(value) AS (SELECT MIN({name}) FROM {table} UNION ALL "  # noqa: S608  ours
            f"SELECT (SELECT MIN({name}) FROM {table} WHERE {name} > leap.value) FROM leap "
            "WHERE leap.value IS NOT NULL) SELECT value FROM leap WHERE value IS NOT NULL LIMIT %s",
            [most],
        )
        return [value for (value,) in cursor.fetchall()]


class SinceFilter(RareFilter):
    """Whether something has happened to a row: a column says since when, and is empty before."""

    title = _("state")
    parameter_name = "state"
    column: str
    before: tuple[str, Any]
    after: tuple[str, Any]

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        return [self.before, self.after]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        if self.value() not in (self.before[0], self.after[0]):
            return queryset
        return queryset.filter(**{f"{self.column}__isnull": self.value() == self.before[0]})


class PausedFilter(SinceFilter):
    """Whether a member or a project is paused."""

    column = "paused_at"
    before, after = ("working", _("At work")), ("paused", _("Paused"))
