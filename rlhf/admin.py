"""The admin of the model side: all of it to look at, with the actions that a stuck run may need."""

from __future__ import annotations

from typing import Any

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest
from unfold.admin import ModelAdmin

from annotator.admin import ReadOnly
from rlhf import runs
from rlhf.models import (
    BlindComparison,
    Checkpoint,
    Evaluation,
    Generation,
    Promotion,
    Run,
    RunRecord,
    RunSample,
    Score,
    Snapshot,
)


@admin.register(Run)
class RunAdmin(ReadOnly, ModelAdmin):
    list_display = ["__str__", "project", "state", "step", "total", "attempts", "worker", "created_at"]
    list_filter = ["kind", "state", "project"]
    list_select_related = ["project"]
    search_fields = ["=id", "project__name", "error"]
    actions = ["cancel_runs", "resume_runs"]

    def has_work_permission(self, request: HttpRequest) -> bool:
        """The site's managers work on the pages of their projects; here it is superusers alone."""
        user: Any = request.user
        return bool(user.is_superuser)

    @admin.action(description="Cancel", permissions=["work"])
    def cancel_runs(self, request: HttpRequest, queryset: QuerySet[Run]) -> None:
        user: Any = request.user
        ended = sum(runs.cancel(run, user=user) for run in queryset.select_related("project"))
        self.message_user(request, f"{ended} runs are asked to end.")

    @admin.action(description="Resume", permissions=["work"])
    def resume_runs(self, request: HttpRequest, queryset: QuerySet[Run]) -> None:
        user: Any = request.user
        for run in queryset.select_related("project"):
            try:
                runs.resume(run, user=user)
            except runs.CannotStart as error:
                self.message_user(request, f"{run}: {error}", messages.WARNING)
            else:
                self.message_user(request, f"{run} is back in the queue.")


@admin.register(Checkpoint)
class CheckpointAdmin(ReadOnly, ModelAdmin):
    list_display = ["name", "kind", "project", "iteration", "parent", "promoted_at", "created_at"]
    list_filter = ["kind", "project"]
    list_select_related = ["project", "parent"]
    search_fields = ["=id", "name"]


@admin.register(Snapshot)
class SnapshotAdmin(ReadOnly, ModelAdmin):
    list_display = ["__str__", "project", "last_ranking", "counts", "created_at"]
    list_filter = ["project"]
    list_select_related = ["project"]
    search_fields = ["sha256"]


@admin.register(Generation)
class GenerationAdmin(ReadOnly, ModelAdmin):
    list_display = ["completion", "checkpoint", "run", "tokens", "finished", "logprob"]
    list_select_related = ["completion", "checkpoint", "run"]
    list_filter = ["finished"]
    raw_id_fields = ["completion", "run", "checkpoint"]
    search_fields = ["=completion__id", "=run__id"]
    show_full_result_count = False


@admin.register(Score)
class ScoreAdmin(ReadOnly, ModelAdmin):
    list_display = ["completion", "checkpoint", "mean", "std", "created_at"]
    list_select_related = ["completion", "checkpoint"]
    raw_id_fields = ["completion", "checkpoint"]
    search_fields = ["=completion__id", "=checkpoint__id"]
    show_full_result_count = False


@admin.register(RunRecord)
class RunRecordAdmin(ReadOnly, ModelAdmin):
    list_display = ["run", "step", "values", "created_at"]
    list_select_related = ["run"]
    search_fields = ["=run__id"]
    show_full_result_count = False


@admin.register(RunSample)
class RunSampleAdmin(ReadOnly, ModelAdmin):
    list_display = ["run", "step", "text", "reference_text"]
    list_select_related = ["run"]
    search_fields = ["=run__id", "text"]
    show_full_result_count = False


@admin.register(Evaluation)
class EvaluationAdmin(ReadOnly, ModelAdmin):
    list_display = ["__str__", "run", "created_at"]
    list_select_related = ["run", "old", "new"]


@admin.register(BlindComparison)
class BlindComparisonAdmin(ReadOnly, ModelAdmin):
    list_display = ["comparison", "evaluation", "old", "new"]
    list_select_related = ["comparison", "evaluation__old", "evaluation__new"]
    search_fields = ["=comparison__id", "=evaluation__id"]
    show_full_result_count = False


@admin.register(Promotion)
class PromotionAdmin(ReadOnly, ModelAdmin):
    list_display = ["checkpoint", "former", "promoted_by", "promoted_at"]
    list_select_related = ["checkpoint", "former", "promoted_by"]
    list_filter = ["project"]
