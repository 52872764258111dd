"""Accounts, who takes part in which project, invitations, and who is locked out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

from axes.models import AccessAttempt, AccessFailureLog, AccessLog
from axes.utils import reset
from django.contrib import admin
from django.contrib.auth.admin import GroupAdmin as BaseGroupAdmin
from django.contrib.auth.admin import UserAdmin as BaseUserAdmin
from django.contrib.auth.models import Group as PermissionGroup
from django.core.exceptions import ValidationError
from django.db.models import Model, QuerySet
from django.http import HttpRequest
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from unfold.contrib.filters.admin import (
    AutocompleteSelectFilter,
    BooleanRadioFilter,
    ChoicesDropdownFilter,
    RelatedDropdownFilter,
)
from unfold.decorators import display
from unfold.forms import AdminPasswordChangeForm, UserChangeForm, UserCreationForm

from annotator import audit, events, invitations
from annotator.admin.actions import CannotDo, each
from annotator.admin.base import Group, ReadOnly, SiteAdmin
from annotator.admin.filters import PausedFilter, PeriodFilter, RareFilter
from annotator.models import Assignment, Invitation, Membership, Ranking, Role, User
from annotator.quality import watch
from annotator.ranking import leases

admin.site.unregister(PermissionGroup)
# What these two hold is in the audit log; attempts are what a lock-out is made of.
for log in (AccessAttempt, AccessLog, AccessFailureLog):
    admin.site.unregister(log)


@admin.register(User)
class UserAdmin(BaseUserAdmin, SiteAdmin):  # type: ignore[type-arg,misc]
    group: ClassVar[Group] = Group.PEOPLE
    icon = "person"
    form = UserChangeForm
    add_form = UserCreationForm
    change_password_form = AdminPasswordChangeForm
    list_display = ["username", "first_name", "email", "is_active", "is_staff", "is_simulated", "last_login"]
    list_filter = [
        ("is_active", BooleanRadioFilter),
        ("is_staff", BooleanRadioFilter),
        ("is_superuser", BooleanRadioFilter),
        ("is_simulated", BooleanRadioFilter),
        ("is_imported", BooleanRadioFilter),
        ("groups", RelatedDropdownFilter),
        ("date_joined", PeriodFilter),
    ]
    search_fields = ["=id", "username__istartswith", "first_name__istartswith", "email__istartswith"]
    readonly_fields = ["is_simulated", "is_imported", "last_login", "date_joined"]
    ordering = ("-id",)
    actions = ["deactivate", "activate"]

    def reasons_to_keep(self, objs: Sequence[Model] | QuerySet[Any]) -> list[str]:
        people = [user.pk for user in objs]
        judges = Ranking.objects.filter(annotator__in=people).exists()
        if judges or Assignment.objects.filter(annotator__in=people).exists():
            return [_("judgments, which are kept. Deactivate the account instead.")]
        return []

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        """Rights are given by superusers alone: else whoever edits accounts could make themselves one."""
        fields = super().get_readonly_fields(request, obj)
        if request.user.is_superuser:
            return fields
        return [*fields, "is_staff", "is_superuser", "groups", "user_permissions"]

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Nobody but a superuser changes a superuser, whose password would be theirs then."""
        allowed: bool = super().has_change_permission(request, obj)
        return allowed and (obj is None or not obj.is_superuser or bool(request.user.is_superuser))

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        allowed: bool = super().has_delete_permission(request, obj)
        return allowed and (obj is None or not obj.is_superuser or bool(request.user.is_superuser))

    def note(self, request: HttpRequest, obj: Model, action: str, changes: audit.Changes) -> None:
        """New accounts, new passwords and deletions are noted wherever they happen (audit_signals)."""
        told = {field: values for field, values in changes.items() if "password" not in field}
        if action == "changed" and told:
            super().note(request, obj, action, told)

    @each(
        gettext_lazy("Deactivate the account"),
        confirm=gettext_lazy(
            "They are signed out and cannot sign in any more; what they hold goes back to the queue. "
            "Their judgments stay."
        ),
        audited="deactivated the account",
    )
    def deactivate(self, request: HttpRequest, user: User) -> bool:
        if user == request.user:
            raise CannotDo(_("this is you."))
        if user.is_superuser and not request.user.is_superuser:
            raise CannotDo(_("only a superuser may do this to a superuser."))
        for held in Assignment.objects.filter(annotator=user, state=Assignment.State.LEASED):
            leases.release(held)
        return bool(User.objects.filter(pk=user.pk, is_active=True).update(is_active=False))

    @each(gettext_lazy("Activate the account"), audited="activated the account")
    def activate(self, request: HttpRequest, user: User) -> bool:
        if user.is_superuser and not request.user.is_superuser:
            raise CannotDo(_("only a superuser may do this to a superuser."))
        return bool(User.objects.filter(pk=user.pk, is_active=False).update(is_active=True))


@admin.register(PermissionGroup)
class GroupAdmin(BaseGroupAdmin, SiteAdmin):  # type: ignore[misc]
    group: ClassVar[Group] = Group.PEOPLE
    icon = "shield_person"
    ordering = ("name",)

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return bool(request.user.is_superuser)

    def has_add_permission(self, request: HttpRequest) -> bool:
        return bool(request.user.is_superuser)

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return bool(request.user.is_superuser)


@admin.register(Membership)
class MembershipAdmin(SiteAdmin):
    group, icon = Group.PEOPLE, "badge"
    list_display = ["user", "project", "shown_role", "paused_at", "pause_kind", "reliability", "created_at"]
    list_filter = [
        ("role", ChoicesDropdownFilter),
        PausedFilter,
        ("pause_kind", ChoicesDropdownFilter),
        ("project", RelatedDropdownFilter),
        ("user", AutocompleteSelectFilter),
    ]
    search_fields = ["=id", "user__username__istartswith", "project__name__istartswith"]
    search_help_text = gettext_lazy("Number, beginning of a user name or of a project's name")
    list_select_related = ["user", "project"]
    autocomplete_fields = ["user", "project"]
    fields = ["project", "user", "role", "qualified_at"]
    actions = ["pause", "resume"]

    @display(description=gettext_lazy("role"), ordering="role", label=True)
    def shown_role(self, row: Membership) -> str:
        return row.get_role_display()

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> list[str]:
        return ["project", "user"] if obj else []

    def get_actions(self, request: HttpRequest) -> Any:
        """One at a time, so that a project keeps a manager."""
        actions = super().get_actions(request)
        actions.pop("delete_selected", None)
        return actions

    def get_form(self, request: HttpRequest, obj: Any = None, change: bool = False, **kwargs: Any) -> Any:
        base = super().get_form(request, obj, change, **kwargs)

        class Form(base):  # type: ignore[misc,valid-type]
            def clean_role(self) -> Any:
                role = self.cleaned_data["role"]
                if obj and role != Role.MANAGER and is_last_manager(obj):
                    raise ValidationError(_("A project needs a manager. Make somebody else one first."))
                return role

        return Form

    def reasons_to_keep(self, objs: Sequence[Any] | QuerySet[Any]) -> list[str]:
        return [_("the last manager of %s") % row.project for row in objs if is_last_manager(row)]

    def note(self, request: HttpRequest, obj: Model, action: str, changes: audit.Changes) -> None:
        """Into the project's events as well."""
        match action:
            case "added":
                _tell(obj, request, "added", changes)
            case "changed":
                _tell(obj, request, "changed", changes)
            case "deleted":
                _tell(obj, request, "removed", changes)

    def delete_model(self, request: HttpRequest, obj: Any) -> None:
        leases.release_all(obj.user, obj.project)
        super().delete_model(request, obj)

    @each(gettext_lazy("Pause: give no comparisons any more"), permission="change")
    def pause(self, request: HttpRequest, row: Membership) -> bool:
        person: Any = request.user
        return watch.pause(row, person, _("Paused by %s.") % person)

    @each(gettext_lazy("Lift the pause"), permission="change")
    def resume(self, request: HttpRequest, row: Membership) -> bool:
        person: Any = request.user
        return watch.lift(row, person)


def _tell(row: Any, request: HttpRequest, verb: str, changes: audit.Changes) -> None:
    person: Any = request.user
    events.record(row.project, person, verb, row.user.username, target=row, changes=changes)


def is_last_manager(row: Membership) -> bool:
    others = Membership.objects.filter(project=row.project_id, role=Role.MANAGER).exclude(pk=row.pk)
    return Membership.objects.filter(pk=row.pk, role=Role.MANAGER).exists() and not others.exists()


class InvitationState(RareFilter):
    title = gettext_lazy("state")
    parameter_name = "state"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        return list(invitations.STATES.items())

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        return invitations.in_state(queryset, self.value() or "")


@admin.register(Invitation)
class InvitationAdmin(ReadOnly, SiteAdmin):
    """Its secret is not stored, so that nobody can follow somebody else's link from here."""

    group, icon = Group.PEOPLE, "mail"
    list_display = ["id", "project", "role", "note", "places_taken", "places", "expires_at", "state"]
    list_filter = [
        InvitationState,
        ("role", ChoicesDropdownFilter),
        ("project", RelatedDropdownFilter),
        ("created_at", PeriodFilter),
    ]
    search_fields = ["=id", "note__istartswith", "project__name__istartswith"]
    list_select_related = ["project"]
    actions = ["revoke"]

    @display(
        description=gettext_lazy("state"),
        label={"open": "success", "full": "info", "expired": "warning", "revoked": "danger"},
    )
    def state(self, row: Invitation) -> tuple[str, Any]:
        state = invitations.state_of(row)
        return state, invitations.STATES[state]

    @each(
        gettext_lazy("Revoke"),
        confirm=gettext_lazy("Nobody can join by these links any more, and they cannot be opened again."),
    )
    def revoke(self, request: HttpRequest, row: Invitation) -> bool:
        person: Any = request.user
        return invitations.revoke(invitation=row, by=person)


@admin.register(AccessAttempt)
class AccessAttemptAdmin(ReadOnly, SiteAdmin):
    """Who has failed to sign in lately, and is or soon will be locked out."""

    group, icon = Group.PEOPLE, "lock"
    list_display = ["username", "ip_address", "failures_since_start", "attempt_time", "path_info"]
    list_filter = [("attempt_time", PeriodFilter)]
    search_fields = ["username__istartswith", "ip_address__istartswith"]
    fields = ["username", "ip_address", "user_agent", "path_info", "failures_since_start", "attempt_time"]
    actions = ["unlock"]

    @each(gettext_lazy("Let them try again"), audited="unlocked")
    def unlock(self, request: HttpRequest, row: AccessAttempt) -> bool:
        return bool(reset(username=row.username, ip=row.ip_address))
