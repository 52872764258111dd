"""The admin: every model, history read-only. For the site's staff; managers work on the pages."""

from __future__ import annotations

from typing import Any

from django.contrib import admin, messages
from django.contrib.auth.admin import GroupAdmin as BaseGroupAdmin
from django.contrib.auth.admin import UserAdmin as BaseUserAdmin
from django.contrib.auth.models import Group
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils import timezone
from unfold.admin import ModelAdmin, TabularInline
from unfold.forms import AdminPasswordChangeForm, UserChangeForm, UserCreationForm

from annotator.models import (
    Assignment,
    Comparison,
    Completion,
    Event,
    Export,
    GoldAnswer,
    Guideline,
    Invitation,
    Membership,
    Note,
    PauseKind,
    Project,
    Prompt,
    PromptImport,
    QualityReport,
    Ranking,
    Slot,
    User,
    Withdrawal,
)
from annotator.ranking import queue

admin.site.unregister(Group)


class ReadOnly:
    """What has happened is looked at, not edited."""

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


@admin.register(User)
class UserAdmin(BaseUserAdmin, ModelAdmin):  # type: ignore[type-arg]
    form = UserChangeForm
    add_form = UserCreationForm
    change_password_form = AdminPasswordChangeForm
    list_display = ["username", "email", "is_active", "is_staff", "is_simulated", "is_imported", "last_login"]
    list_filter = ["is_active", "is_staff", "is_superuser", "is_simulated", "is_imported"]
    readonly_fields = ["is_simulated", "is_imported", "last_login", "date_joined"]


@admin.register(Group)
class GroupAdmin(BaseGroupAdmin, ModelAdmin):
    pass


class MembershipInline(TabularInline):
    model = Membership
    autocomplete_fields = ["user"]
    extra = 0


@admin.register(Project)
class ProjectAdmin(ModelAdmin):
    list_display = ["name", "slug", "response_format", "language", "judgments_wanted", "created_at"]
    list_filter = ["response_format", "language"]
    search_fields = ["name", "slug"]
    readonly_fields = ["created_by", "created_at"]
    inlines = [MembershipInline]

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Rankings are kept: a project that has some cannot go."""
        has_rankings = obj is not None and Ranking.objects.filter(comparison__project=obj).exists()
        return not has_rankings and super().has_delete_permission(request, obj)


@admin.register(Guideline)
class GuidelineAdmin(ModelAdmin):
    list_display = ["project", "version", "created_by", "created_at"]
    list_filter = ["project"]
    readonly_fields = ["created_by", "created_at"]

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """A version is never changed, only followed by another."""
        return False


@admin.register(Membership)
class MembershipAdmin(ModelAdmin):
    list_display = ["user", "project", "role", "paused_at", "pause_kind", "pause_reason"]
    list_filter = ["role", "pause_kind", "project"]
    search_fields = ["user__username", "project__name"]
    autocomplete_fields = ["user", "project"]
    list_select_related = ["user", "project"]
    actions = ["pause", "resume"]

    @admin.action(description="Pause: give no comparisons any more", permissions=["change"])
    def pause(self, request: HttpRequest, queryset: QuerySet[Membership]) -> None:
        count = queryset.filter(paused_at=None).update(
            paused_at=timezone.now(),
            pause_kind=PauseKind.MANUAL,
            pause_reason=f"Paused by {request.user}.",
            pause_facts={},
        )
        self.message_user(request, f"{count} paused.", messages.SUCCESS)

    @admin.action(description="Lift the pause", permissions=["change"])
    def resume(self, request: HttpRequest, queryset: QuerySet[Membership]) -> None:
        count = queryset.exclude(paused_at=None).update(
            paused_at=None, pause_kind="", pause_reason="", pause_facts={}, watched_from=timezone.now()
        )
        self.message_user(request, f"{count} back at work.", messages.SUCCESS)


@admin.register(Invitation)
class InvitationAdmin(ReadOnly, ModelAdmin):
    """Its secret is not stored, so that nobody can follow somebody else's link from here."""

    list_display = ["id", "project", "role", "note", "places_taken", "places", "expires_at", "revoked_at"]
    list_filter = ["role", "project"]
    search_fields = ["note", "project__name"]
    list_select_related = ["project"]


@admin.register(PromptImport)
class PromptImportAdmin(ReadOnly, ModelAdmin):
    list_display = ["name", "project", "state", "format", "created_by", "created_at"]
    list_filter = ["state", "project"]
    list_select_related = ["project", "created_by"]


@admin.register(Prompt)
class PromptAdmin(ModelAdmin):
    list_display = ["id", "__str__", "project", "domain", "language", "is_held_out"]
    list_filter = ["project", "domain", "language", "is_held_out"]
    search_fields = ["text"]
    list_select_related = ["project"]
    show_full_result_count = False
    # The text and its examples decide the hash, and with it on which side of the split the task is.
    readonly_fields = ["project", "batch", "text", "examples", "hash", "is_held_out", "created_at"]
    exclude = ["image", "image_text"]  # they come in by the task's page, which checks them

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False


@admin.register(Completion)
class CompletionAdmin(ReadOnly, ModelAdmin):
    list_display = ["id", "__str__", "source", "origin", "iteration", "author", "created_at"]
    list_filter = ["source", "iteration"]
    search_fields = ["text"]
    list_select_related = ["author"]
    show_full_result_count = False


class SlotInline(ReadOnly, TabularInline):
    model = Slot
    extra = 0


@admin.register(Comparison)
class ComparisonAdmin(ModelAdmin):
    list_display = ["id", "project", "rule", "priority", "judgments_taken", "judgments_wanted", "is_closed"]
    list_filter = ["project", "rule", "is_closed", "iteration"]
    list_select_related = ["project"]
    show_full_result_count = False
    readonly_fields = [
        "project",
        "prompt",
        "completions_key",
        "rule",
        "iteration",
        "judgments_taken",
        "created_at",
    ]
    inlines = [SlotInline]
    actions = ["close", "reopen"]

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    @admin.action(description="Take out of the queue", permissions=["change"])
    def close(self, request: HttpRequest, queryset: QuerySet[Comparison]) -> None:
        self.message_user(request, f"{queryset.update(is_closed=True)} closed.", messages.SUCCESS)

    @admin.action(description="Put back into the queue", permissions=["change"])
    def reopen(self, request: HttpRequest, queryset: QuerySet[Comparison]) -> None:
        self.message_user(request, f"{queryset.update(is_closed=False)} open again.", messages.SUCCESS)


@admin.register(Assignment)
class AssignmentAdmin(ReadOnly, ModelAdmin):
    list_display = ["id", "annotator", "comparison", "state", "leased_until", "created_at"]
    list_filter = ["state"]
    search_fields = ["annotator__username"]
    list_select_related = ["annotator", "comparison"]
    show_full_result_count = False
    actions = ["release"]

    def has_release_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("annotator.change_comparison")

    @admin.action(description="Release the leases", permissions=["release"])
    def release(self, request: HttpRequest, queryset: QuerySet[Assignment]) -> None:
        released = sum(queue.release(assignment) for assignment in queryset.filter(state="leased"))
        self.message_user(request, f"{released} released.", messages.SUCCESS)


@admin.register(Ranking)
class RankingAdmin(ReadOnly, ModelAdmin):
    list_display = ["id", "annotator", "comparison", "verdict", "strength", "is_live", "created_at"]
    list_filter = ["verdict", "is_live", "is_simulated", ("batch", admin.EmptyFieldListFilter)]
    search_fields = ["annotator__username"]
    list_select_related = ["annotator", "comparison"]
    show_full_result_count = False


@admin.register(Event)
class EventAdmin(ReadOnly, ModelAdmin):
    list_display = ["created_at", "project", "actor", "verb", "subject"]
    list_filter = ["project", "verb"]
    list_select_related = ["project", "actor"]
    show_full_result_count = False


@admin.register(GoldAnswer)
class GoldAnswerAdmin(ReadOnly, ModelAdmin):
    list_display = ["id", "comparison", "verdict", "created_by", "created_at"]
    list_filter = ["verdict"]
    search_fields = ["explanation"]
    list_select_related = ["comparison", "created_by"]


@admin.register(Note)
class NoteAdmin(ModelAdmin):
    list_display = ["id", "project", "author", "text", "created_at", "done_at"]
    list_filter = ["project"]
    search_fields = ["text", "author__username"]
    list_select_related = ["project", "author"]
    readonly_fields = ["project", "comparison", "author", "text", "created_at"]
    autocomplete_fields = ["done_by"]

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False


@admin.register(QualityReport)
class QualityReportAdmin(ReadOnly, ModelAdmin):
    list_display = ["project", "computed_at", "last_ranking", "seconds"]
    list_select_related = ["project"]


@admin.register(Export)
class ExportAdmin(ReadOnly, ModelAdmin):
    list_display = ["id", "project", "name", "state", "attempts", "sha256", "created_by", "created_at"]
    list_filter = ["state", "project"]
    search_fields = ["name", "sha256"]
    list_select_related = ["project", "created_by"]


@admin.register(Withdrawal)
class WithdrawalAdmin(ReadOnly, ModelAdmin):
    list_display = ["id", "project", "annotator", "created_at", "taken_back_at"]
    list_filter = ["project"]
    search_fields = ["annotator__username"]
    list_select_related = ["project", "annotator"]
