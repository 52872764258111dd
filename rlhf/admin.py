"""The admin of the model side: all of it to look at, with the actions that a stuck run may need."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.db.models import Q, QuerySet
from django.http import HttpRequest
from django.utils.text import Truncator
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from unfold.contrib.filters.admin import (
    ChoicesDropdownFilter,
    RelatedDropdownFilter,
)
from unfold.decorators import display

from annotator.admin.actions import CannotDo, each
from annotator.admin.base import Group, Many, ReadOnly, SiteAdmin
from annotator.admin.filters import PeriodFilter, RareFilter
from rlhf import runs
from rlhf.models import (
    BlindComparison,
    Checkpoint,
    Evaluation,
    Generation,
    LiveHeads,
    LiveScore,
    Promotion,
    Run,
    RunRecord,
    RunSample,
    Score,
    Snapshot,
)

State = Run.State
SHOWN = 80
"""Characters of a text in a list."""


@admin.register(Run)
class RunAdmin(ReadOnly, SiteAdmin):
    group, icon = Group.MODELS, "play_circle"
    list_display = ["__str__", "project", "shown_state", "step", "total", "attempts", "worker", "created_at"]
    list_filter = [
        ("kind", ChoicesDropdownFilter),
        ("state", ChoicesDropdownFilter),
        ("project", RelatedDropdownFilter),
        ("created_at", PeriodFilter),
    ]
    list_select_related = ["project"]
    search_fields = ["=id", "project__name__istartswith", "worker__istartswith", "error"]
    search_help_text = gettext_lazy("Number, project, worker, or words of an error")
    actions = ["requeue", "cancel"]

    @display(
        description=gettext_lazy("state"),
        label={State.DONE: "success", State.FAILED: "danger", State.RUNNING: "info", State.QUEUED: "info"},
    )
    def shown_state(self, row: Run) -> tuple[str, str]:
        return row.state, row.get_state_display()

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        return super().get_queryset(request).select_related("project")

    @each(gettext_lazy("Put back into the queue"))
    def requeue(self, request: HttpRequest, row: Run) -> bool:
        """A failed or cancelled run goes on from its last checkpoint; a silent one is found by the sweep."""
        person: Any = request.user
        try:
            runs.resume(row, user=person)
        except runs.CannotStart as error:
            raise CannotDo(str(error)) from error
        return True

    @each(
        gettext_lazy("Cancel"),
        confirm=gettext_lazy(
            "A waiting run ends at once, a running one within its step. It can be put back into the queue."
        ),
    )
    def cancel(self, request: HttpRequest, row: Run) -> bool:
        person: Any = request.user
        return runs.cancel(row, user=person)


@admin.register(Checkpoint)
class CheckpointAdmin(ReadOnly, SiteAdmin):
    """Promoted on the project's page of models, where its figures are."""

    group, icon = Group.MODELS, "deployed_code"
    list_display = ["name", "kind", "project", "iteration", "parent", "promoted_at", "created_at"]
    list_filter = [
        ("kind", ChoicesDropdownFilter),
        ("project", RelatedDropdownFilter),
        ("created_at", PeriodFilter),
    ]
    list_select_related = ["project", "parent"]
    search_fields = ["=id", "name__istartswith", "project__name__istartswith", "code_version__istartswith"]


@admin.register(Snapshot)
class SnapshotAdmin(ReadOnly, SiteAdmin):
    group, icon = Group.MODELS, "photo_camera"
    list_display = ["__str__", "project", "last_ranking", "counts", "created_at"]
    list_filter = [("project", RelatedDropdownFilter), ("created_at", PeriodFilter)]
    list_select_related = ["project"]
    search_fields = ["=id", "sha256__istartswith", "project__name__istartswith"]


class CutFilter(RareFilter):
    title = gettext_lazy("kind")
    parameter_name = "only"
    conditions = {"cut": (gettext_lazy("Cut at the limit of tokens"), Q(finished=False))}


@admin.register(Generation)
class GenerationAdmin(ReadOnly, Many, SiteAdmin):
    group, icon = Group.MODELS, "edit_note"
    list_display = ["id", "beginning", "checkpoint", "run", "tokens", "finished", "logprob"]
    list_select_related = ["completion", "checkpoint", "run"]
    list_filter = [CutFilter]
    search_numbers = ["pk", "completion", "run", "checkpoint"]
    search_help_text = gettext_lazy("Number of it, its instruction, its run or its checkpoint")
    long_columns = ["sampling", "run__config", "run__error", "checkpoint__config", "checkpoint__metrics"]
    raw_id_fields = ["completion", "run", "checkpoint"]

    @display(description=gettext_lazy("text"))
    def beginning(self, row: Generation) -> str:
        return Truncator(row.completion.text).chars(SHOWN)


class GoldFilter(RareFilter):
    title = gettext_lazy("by whom")
    parameter_name = "only"
    conditions = {"gold": (gettext_lazy("By the gold metric"), Q(checkpoint=None))}


@admin.register(Score)
class ScoreAdmin(ReadOnly, Many, SiteAdmin):
    group, icon = Group.MODELS, "score"
    list_display = ["id", "completion_id", "by", "mean", "std", "created_at"]
    list_select_related = ["checkpoint"]
    list_filter = [GoldFilter, ("created_at", PeriodFilter)]
    search_numbers = ["pk", "completion", "checkpoint"]
    search_help_text = gettext_lazy("Number of it, its instruction or its checkpoint")
    long_columns = ["details", "checkpoint__config", "checkpoint__metrics"]
    raw_id_fields = ["completion", "checkpoint"]

    @display(description=gettext_lazy("by"))
    def by(self, row: Score) -> str:
        return str(row.checkpoint or _("Gold metric"))


@admin.register(LiveHeads)
class LiveHeadsAdmin(ReadOnly, SiteAdmin):
    group, icon = Group.MODELS, "bolt"
    list_display = ["project", "every", "fresh", "rankings", "refits", "refitted_at", "seconds", "error"]
    list_filter = [("project", RelatedDropdownFilter)]
    list_select_related = ["project"]
    search_fields = ["=id", "project__name__istartswith", "error"]


@admin.register(LiveScore)
class LiveScoreAdmin(ReadOnly, Many, SiteAdmin):
    group, icon = Group.MODELS, "speed"
    list_display = ["id", "completion_id", "checkpoint", "refit", "mean", "std"]
    list_select_related = ["checkpoint"]
    search_numbers = ["pk", "completion", "checkpoint"]
    search_help_text = gettext_lazy("Number of it, its instruction or its checkpoint")
    long_columns = ["checkpoint__config", "checkpoint__metrics"]


@admin.register(RunRecord)
class RunRecordAdmin(ReadOnly, Many, SiteAdmin):
    group, icon = Group.MODELS, "show_chart"
    list_display = ["id", "run", "step", "values", "created_at"]
    list_select_related = ["run"]
    list_filter = [("created_at", PeriodFilter)]
    search_numbers = ["pk", "run"]
    search_help_text = gettext_lazy("Number of it or its run")
    long_columns = ["run__config", "run__error"]


@admin.register(RunSample)
class RunSampleAdmin(ReadOnly, Many, SiteAdmin):
    group, icon = Group.MODELS, "text_snippet"
    list_display = ["id", "run", "step", "beginning"]
    list_select_related = ["run"]
    search_numbers = ["pk", "run", "prompt"]
    search_words = ["text"]
    search_help_text = gettext_lazy("Number of it, its run or its task, or words")
    long_columns = ["reference_text", "values", "run__config", "run__error"]

    @display(description=gettext_lazy("text"))
    def beginning(self, row: RunSample) -> str:
        return Truncator(row.text).chars(SHOWN)


@admin.register(Evaluation)
class EvaluationAdmin(ReadOnly, SiteAdmin):
    group, icon = Group.MODELS, "balance"
    list_display = ["__str__", "project", "run", "created_at"]
    list_filter = [("run__project", RelatedDropdownFilter), ("created_at", PeriodFilter)]
    list_select_related = ["run__project", "old", "new"]
    search_fields = ["=id", "=run__id", "new__name__istartswith", "old__name__istartswith"]

    @display(description=gettext_lazy("project"))
    def project(self, row: Evaluation) -> str:
        return str(row.run.project)


@admin.register(BlindComparison)
class BlindComparisonAdmin(ReadOnly, Many, SiteAdmin):
    group, icon = Group.MODELS, "visibility_off"
    list_display = ["id", "comparison", "evaluation", "old", "new"]
    list_select_related = ["comparison", "evaluation__old", "evaluation__new"]
    search_numbers = ["pk", "comparison", "evaluation"]
    search_help_text = gettext_lazy("Number of it, its comparison or its evaluation")


@admin.register(Promotion)
class PromotionAdmin(ReadOnly, SiteAdmin):
    group, icon = Group.MODELS, "workspace_premium"
    list_display = ["checkpoint", "former", "project", "promoted_by", "promoted_at"]
    list_select_related = ["checkpoint", "former", "promoted_by", "project"]
    list_filter = [("project", RelatedDropdownFilter), ("promoted_at", PeriodFilter)]
    search_fields = ["=id", "checkpoint__name__istartswith", "promoted_by__username__istartswith"]
