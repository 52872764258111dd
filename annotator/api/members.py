"""Members of a project and invitations to it."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django.db import transaction
from django.db.models import QuerySet
from django.shortcuts import get_object_or_404
from django.urls import reverse
from django.utils.translation import gettext as _
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.exceptions import ValidationError
from rest_framework.generics import ListAPIView
from rest_framework.request import Request
from rest_framework.response import Response

from annotator import invitations, membership
from annotator.access import MANAGERS
from annotator.api.idempotency import idempotent
from annotator.api.problems import Conflict
from annotator.api.views import ById, NewestFirst, ProjectView, created, given
from annotator.models import Invitation, Membership, Role, User
from annotator.quality import watch


class MemberOutput(serializers.ModelSerializer[Membership]):
    username = serializers.CharField(source="user.username")
    name = serializers.CharField(source="user.first_name")
    is_simulated = serializers.BooleanField(source="user.is_simulated")

    class Meta:
        model = Membership
        fields = [
            *("id", "username", "name", "is_simulated", "role", "paused_at", "pause_kind", "pause_reason"),
            *("qualified_at", "reliability", "created_at"),
        ]


class MemberInput(serializers.Serializer[None]):
    username = serializers.CharField(max_length=150)
    role = serializers.ChoiceField(choices=Role.choices, default=Role.ANNOTATOR)


class MemberChange(serializers.Serializer[None]):
    role = serializers.ChoiceField(choices=Role.choices, required=False)
    is_paused = serializers.BooleanField(required=False)
    reason = serializers.CharField(
        max_length=200, default="", allow_blank=True, help_text="Why; they read it. Needed to pause."
    )

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        if attrs.get("is_paused") and not attrs["reason"]:
            raise ValidationError({"reason": [_("Say why: they read it.")]})
        return attrs


class InvitationOutput(serializers.ModelSerializer[Invitation]):
    state = serializers.SerializerMethodField()
    created_by = serializers.CharField(source="created_by.username", allow_null=True, default=None)

    class Meta:
        model = Invitation
        fields = [
            *(
                "id",
                "role",
                "note",
                "state",
                "places",
                "places_taken",
                "expires_at",
                "created_by",
                "created_at",
            )
        ]

    def get_state(self, invitation: Invitation) -> str:
        return invitations.state_of(invitation)


class MadeInvitationOutput(InvitationOutput):
    link = serializers.SerializerMethodField(help_text="In this answer alone.")

    class Meta(InvitationOutput.Meta):
        fields = [*InvitationOutput.Meta.fields, "link"]

    def get_link(self, invitation: Invitation) -> str:
        link: str = self.context["link"]
        return link


class InvitationInput(serializers.Serializer[None]):
    role = serializers.ChoiceField(choices=Role.choices, default=Role.ANNOTATOR)
    days = serializers.IntegerField(min_value=1, max_value=90, default=7)
    places = serializers.IntegerField(min_value=1, max_value=invitations.MOST_PLACES, default=1)
    note = serializers.CharField(max_length=100, allow_blank=True, default="")


class MemberList(ProjectView, ListAPIView[Membership]):
    tag = "members"
    roles = MANAGERS
    queryset = Membership.objects.all()
    serializer_class = MemberOutput
    pagination_class = ById

    def get_queryset(self) -> QuerySet[Membership]:
        return self.project.memberships.select_related("user")

    def get(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        """Who takes part, in which role, and whose part is paused."""
        return super().get(request, *args, **kwargs)

    @extend_schema(request=MemberInput, responses={201: MemberOutput})
    @idempotent
    def post(self, request: Request, slug: str) -> Response:
        """Make somebody who has an account a member."""
        values = given(MemberInput, request)
        name = values["username"]
        user = User.objects.filter(username=name, is_active=True).first()
        if user is None:
            raise ValidationError({"username": [_("There is no account “%(name)s”.") % {"name": name}]})
        if Membership.objects.filter(project=self.project, user=user).exists():
            raise Conflict(_("%(name)s is in the project already.") % {"name": name})
        member = membership.add(project=self.project, user=user, role=Role(values["role"]), by=self.person)
        return created(MemberOutput(member).data, reverse("api-member", args=[slug, member.pk]))


class MemberDetail(ProjectView):
    tag = "members"
    roles = MANAGERS

    def member(self) -> Membership:
        rows = self.project.memberships.select_related("user", "project")
        return get_object_or_404(rows, pk=self.kwargs["member_id"])

    @extend_schema(responses=MemberOutput)
    def get(self, request: Request, slug: str, member_id: int) -> Response:
        """One member."""
        return Response(MemberOutput(self.member()).data)

    @extend_schema(request=MemberChange, responses=MemberOutput)
    def patch(self, request: Request, slug: str, member_id: int) -> Response:
        """Give a member another role, pause them, or lift a pause."""
        member, values = self.member(), given(MemberChange, request)
        with transaction.atomic():
            if "role" in values and values["role"] != member.role:
                try:
                    membership.change_role(member, Role(values["role"]), self.person)
                except membership.LastManager as error:
                    raise _needs_a_manager() from error
            if values.get("is_paused") is True:
                watch.pause(member, self.person, values["reason"])
            elif values.get("is_paused") is False:
                watch.lift(member, self.person)
        return Response(MemberOutput(self.member()).data)

    @extend_schema(request=None, responses={204: None})
    def delete(self, request: Request, slug: str, member_id: int) -> Response:
        """Take a member out. What they judged stays."""
        try:
            membership.remove(self.member(), self.person)
        except membership.LastManager as error:
            raise _needs_a_manager() from error
        return Response(status=204)


class InvitationList(ProjectView, ListAPIView[Invitation]):
    tag = "members"
    roles = MANAGERS
    queryset = Invitation.objects.all()
    serializer_class = InvitationOutput
    pagination_class = NewestFirst

    def get_queryset(self) -> QuerySet[Invitation]:
        return self.project.invitations.select_related("created_by")

    def get(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        """The invitations, the newest first. Their links are not kept."""
        return super().get(request, *args, **kwargs)

    @extend_schema(request=InvitationInput, responses={201: MadeInvitationOutput})
    def post(self, request: Request, slug: str) -> Response:
        """Make a link that lets people join. It is in this answer alone, so no Idempotency-Key repeats it."""
        values = given(InvitationInput, request)
        invitation, secret = invitations.make(
            project=self.project,
            by=self.person,
            role=Role(values["role"]),
            lasts=timedelta(days=values["days"]),
            places=values["places"],
            note=values["note"],
        )
        link = request.build_absolute_uri(reverse("join", args=[secret]))
        return created(MadeInvitationOutput(invitation, context={"link": link}).data)


class InvitationRevoke(ProjectView):
    tag = "members"
    roles = MANAGERS

    @extend_schema(request=None, responses=InvitationOutput)
    def post(self, request: Request, slug: str, invitation_id: int) -> Response:
        """Close a link. Who has joined by it stays."""
        rows = self.project.invitations.select_related("created_by")
        invitation = get_object_or_404(rows, pk=invitation_id)
        invitations.revoke(invitation=invitation, by=self.person)
        invitation.refresh_from_db()
        return Response(InvitationOutput(invitation).data)


def _needs_a_manager() -> Conflict:
    return Conflict(_("A project needs a manager. Make somebody else one first."))
