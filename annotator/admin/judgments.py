"""Judgments: what is compared, who holds it, what was said, and what is measured of that."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.core.exceptions import ValidationError
from django.db.models import Q, QuerySet
from django.http import HttpRequest
from django.utils.text import Truncator
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from unfold.admin import TabularInline
from unfold.contrib.filters.admin import (
    AutocompleteSelectFilter,
    ChoicesDropdownFilter,
    RelatedDropdownFilter,
)
from unfold.decorators import display

from annotator.admin.actions import each
from annotator.admin.base import Group, Many, ReadOnly, SiteAdmin
from annotator.admin.filters import PeriodFilter, ProjectFilter, RareFilter, UnusualFilter
from annotator.models import Assignment, Comparison, GoldAnswer, QualityReport, Ranking, Slot, Verdict
from annotator.ranking import leases

State = Assignment.State


class SlotInline(ReadOnly, TabularInline):
    model = Slot
    fields = ["position", "completion", "beginning"]
    readonly_fields = ["beginning"]
    extra = 0

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        return super().get_queryset(request).select_related("completion", "comparison")

    @display(description=gettext_lazy("text"))
    def beginning(self, row: Slot) -> str:
        return Truncator(row.completion.text).chars(200)


class OutFilter(RareFilter):
    title = gettext_lazy("kind")
    parameter_name = "only"
    conditions = {
        "closed": (gettext_lazy("Closed"), Q(is_closed=True)),
        "adjudicated": (gettext_lazy("Decided by a manager"), Q(is_adjudicated=True)),
    }


@admin.register(Comparison)
class ComparisonAdmin(Many, SiteAdmin):
    """Its priority and the judgments wanted may be changed; what is compared may not."""

    group, icon = Group.JUDGMENTS, "compare_arrows"
    list_display = ["id", "project", "rule", "priority", "judgments_taken", "judgments_wanted", "is_closed"]
    list_filter = [
        ("project", RelatedDropdownFilter),
        ("rule", ChoicesDropdownFilter),
        OutFilter,
        ("created_at", PeriodFilter),
    ]
    search_numbers = ["pk", "prompt"]
    search_names = {"reserved_for": "username"}
    search_help_text = gettext_lazy("Number of it or its task, or whom it is kept for")
    list_select_related = ["project"]
    fields = [
        *("project", "prompt", "rule", "iteration", "priority", "judgments_wanted", "judgments_taken"),
        *("is_closed", "is_adjudicated", "reserved_for", "repeats", "created_at"),
    ]
    readonly_fields = [
        *("project", "prompt", "rule", "iteration", "judgments_taken", "is_adjudicated"),
        *("reserved_for", "repeats", "created_at", "is_closed"),
    ]
    inlines = [SlotInline]
    actions = ["close", "reopen", "release"]

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """It is closed instead: judgments may hang on it."""
        return False

    def get_form(self, request: HttpRequest, obj: Any = None, change: bool = False, **kwargs: Any) -> Any:
        base = super().get_form(request, obj, change, **kwargs)

        class Form(base):  # type: ignore[misc,valid-type]
            def clean_judgments_wanted(self) -> int:
                wanted: int = self.cleaned_data["judgments_wanted"]
                if obj and wanted < obj.judgments_taken:
                    text = _("%(n)d are given or under way already: no fewer can be wanted.")
                    raise ValidationError(text % {"n": obj.judgments_taken})
                return wanted

        return Form

    @each(gettext_lazy("Take out of the queue"), audited="closed")
    def close(self, request: HttpRequest, row: Comparison) -> bool:
        return bool(Comparison.objects.filter(pk=row.pk, is_closed=False).update(is_closed=True))

    @each(gettext_lazy("Put back into the queue"), audited="reopened")
    def reopen(self, request: HttpRequest, row: Comparison) -> bool:
        return bool(Comparison.objects.filter(pk=row.pk, is_closed=True).update(is_closed=False))

    @each(
        gettext_lazy("Release its leases"),
        confirm=gettext_lazy("Whoever is judging these now loses what they have not submitted."),
        audited="released the leases of",
    )
    def release(self, request: HttpRequest, row: Comparison) -> bool:
        held = Assignment.objects.filter(comparison=row, state=State.LEASED)
        return sum(leases.release(assignment) for assignment in held) > 0


class StateFilter(UnusualFilter):
    title = gettext_lazy("state")
    parameter_name = column = "state"
    choices_of = State.choices
    usual = (State.LEASED, State.SUBMITTED)

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        if self.value() == State.LEASED:
            return queryset.filter(pk__in=leases.held().values("pk"))
        return super().queryset(request, queryset)


class OfComparisonsProject(ProjectFilter):
    through = "comparison"


@admin.register(Assignment)
class AssignmentAdmin(ReadOnly, Many, SiteAdmin):
    group, icon = Group.JUDGMENTS, "assignment_ind"
    list_display = ["id", "annotator", "comparison", "project", "shown_state", "leased_until", "created_at"]
    list_filter = [
        StateFilter,
        OfComparisonsProject,
        ("annotator", AutocompleteSelectFilter),
        ("created_at", PeriodFilter),
    ]
    search_numbers = ["pk", "comparison"]
    search_names = {"annotator": "username"}
    search_help_text = gettext_lazy("Number of it or its comparison, or a user name")
    long_columns = ["order", "skip_reason"]
    list_select_related = ["annotator", "comparison__project"]
    actions = ["release"]

    @display(
        description=gettext_lazy("state"),
        label={State.SUBMITTED: "success", State.LEASED: "info", State.EXPIRED: "warning"},
    )
    def shown_state(self, row: Assignment) -> tuple[str, str]:
        return row.state, row.get_state_display()

    @display(description=gettext_lazy("project"))
    def project(self, row: Assignment) -> str:
        return str(row.comparison.project)

    @each(
        gettext_lazy("Release the leases"),
        confirm=gettext_lazy("Whoever is judging these now loses what they have not submitted."),
        audited="released",
    )
    def release(self, request: HttpRequest, row: Assignment) -> bool:
        return leases.release(row)


class VerdictFilter(UnusualFilter):
    title = gettext_lazy("verdict")
    parameter_name = column = "verdict"
    choices_of = Verdict.choices
    usual = (Verdict.RANKED,)


class KindFilter(RareFilter):
    title = gettext_lazy("kind")
    parameter_name = "only"
    conditions = {
        "superseded": (gettext_lazy("Superseded or undone"), Q(is_live=False)),
        "adjudication": (gettext_lazy("A manager's decision"), Q(is_adjudication=True)),
        "gold": (gettext_lazy("On gold questions"), Q(gold_score__isnull=False)),
        "simulated": (gettext_lazy("By programs"), Q(is_simulated=True)),
        "imported": (gettext_lazy("Brought by an import"), Q(batch__isnull=False)),
    }


@admin.register(Ranking)
class RankingAdmin(ReadOnly, Many, SiteAdmin):
    group, icon = Group.JUDGMENTS, "leaderboard"
    list_display = [
        *("id", "annotator", "comparison", "project", "verdict", "strength", "seconds", "is_live"),
        "created_at",
    ]
    list_filter = [
        VerdictFilter,
        KindFilter,
        OfComparisonsProject,
        ("annotator", AutocompleteSelectFilter),
        ("created_at", PeriodFilter),
    ]
    search_numbers = ["pk", "comparison", "assignment"]
    search_names = {"annotator": "username"}
    search_help_text = gettext_lazy("Number of it, its comparison or assignment, or a user name")
    long_columns = [
        *("ranks", "flags", "ratings", "rationale", "improved_text", "order", "reason", "idempotency_key"),
    ]
    list_select_related = ["annotator", "comparison__project"]

    @display(description=gettext_lazy("project"))
    def project(self, row: Ranking) -> str:
        return str(row.comparison.project)


@admin.register(GoldAnswer)
class GoldAnswerAdmin(ReadOnly, SiteAdmin):
    group, icon = Group.JUDGMENTS, "verified"
    list_display = ["id", "comparison", "project", "verdict", "is_asked", "created_by", "created_at"]
    list_filter = [
        ("verdict", ChoicesDropdownFilter),
        ("comparison__project", RelatedDropdownFilter),
        ("created_at", PeriodFilter),
    ]
    search_fields = ["=id", "=comparison__id", "explanation"]
    list_select_related = ["comparison__project", "created_by"]
    actions = ["retire", "bring_back"]

    @display(description=gettext_lazy("project"))
    def project(self, row: GoldAnswer) -> str:
        return str(row.comparison.project)

    @display(description=gettext_lazy("is asked"), boolean=True)
    def is_asked(self, row: GoldAnswer) -> bool:
        return not row.comparison.is_closed

    @each(gettext_lazy("Ask no more"), audited="asks no more")
    def retire(self, request: HttpRequest, row: GoldAnswer) -> bool:
        return bool(Comparison.objects.filter(pk=row.comparison_id, is_closed=False).update(is_closed=True))

    @each(gettext_lazy("Ask again"), audited="asks again")
    def bring_back(self, request: HttpRequest, row: GoldAnswer) -> bool:
        return bool(Comparison.objects.filter(pk=row.comparison_id, is_closed=True).update(is_closed=False))


@admin.register(QualityReport)
class QualityReportAdmin(ReadOnly, SiteAdmin):
    group, icon = Group.JUDGMENTS, "monitoring"
    list_display = ["project", "computed_at", "last_ranking", "seconds"]
    list_filter = [("project", RelatedDropdownFilter)]
    search_fields = ["=id", "project__name__istartswith"]
    list_select_related = ["project"]
