"""Where to begin: what the API has, and who is calling with which rights."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.urls import reverse
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.permissions import AllowAny
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from annotator.access import may_create_projects
from annotator.api.authentication import HasScope
from annotator.api.views import ApiView
from annotator.models import Scope, Token


class StartOutput(serializers.Serializer[Any]):
    version = serializers.CharField()
    projects = serializers.URLField()
    me = serializers.URLField()
    score = serializers.URLField()
    schema = serializers.URLField()
    docs = serializers.URLField()


class TokenOutput(serializers.Serializer[Any]):
    name = serializers.CharField()
    scopes = serializers.ListField(child=serializers.ChoiceField(choices=Scope.choices))
    project = serializers.SlugField(
        source="project.slug", allow_null=True, default=None, help_text="The only one that it opens."
    )
    expires_at = serializers.DateTimeField(allow_null=True)


class MembershipOutput(serializers.Serializer[Any]):
    project = serializers.SlugField(source="project.slug")
    role = serializers.CharField()


class MeOutput(serializers.Serializer[Any]):
    username = serializers.CharField()
    name = serializers.CharField(source="first_name")
    memberships = MembershipOutput(many=True)
    may_create_projects = serializers.BooleanField()
    token = TokenOutput(allow_null=True, help_text="Null for who is signed in by a session.")


class Start(APIView):
    permission_classes = [AllowAny]

    @extend_schema(responses=StartOutput, tags=["start"], auth=[])
    def get(self, request: Request) -> Response:
        """What there is: addresses to go on from."""
        names = {
            "projects": "api-projects",
            "me": "api-me",
            "score": "api-score",
            "schema": "api-schema",
            "docs": "api-docs",
        }
        addresses = {name: request.build_absolute_uri(reverse(url)) for name, url in names.items()}
        return Response({"version": settings.SPECTACULAR_SETTINGS["VERSION"], **addresses})


class Me(ApiView):
    """Any token may ask what it is, whatever its scopes."""

    permission_classes = [one for one in ApiView.permission_classes if one is not HasScope]

    @extend_schema(responses=MeOutput, tags=["start"])
    def get(self, request: Request) -> Response:
        """Who I am, my roles, and what this token may do."""
        memberships = self.person.memberships.select_related("project").order_by("project__name")
        if self.only_project:
            memberships = memberships.filter(project=self.only_project)
        data = {
            "username": self.person.username,
            "first_name": self.person.first_name,
            "memberships": memberships,
            "may_create_projects": may_create_projects(self.person) and self.only_project is None,
            "token": request.auth if isinstance(request.auth, Token) else None,
        }
        return Response(MeOutput(data).data)
