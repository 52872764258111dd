"""What all API views share: a signed-in person, the project with its access rule, keyset pages."""

from __future__ import annotations

from typing import Any, ClassVar

from django.http import Http404
from django.utils.translation import gettext as _
from rest_framework import serializers
from rest_framework.exceptions import APIException
from rest_framework.pagination import CursorPagination
from rest_framework.permissions import SAFE_METHODS
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from annotator.access import entry
from annotator.api import limits
from annotator.models import Membership, Project, Role, Scope, Token, User
from annotator.quality.gold import GoldError
from annotator.ranking.judgments import LeaseLost, SubmitError


class ById(CursorPagination):
    """Pages by id: what is added while somebody reads is neither missed nor read twice."""

    ordering: str | tuple[str, ...] = "id"
    page_size_query_param = "page_size"
    max_page_size = 1000


class NewestFirst(ById):
    ordering = "-id"


class IdField(serializers.IntegerField):
    """A row's id: what has more than 63 bits no database takes."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(min_value=1, max_value=2**63 - 1, **kwargs)


class ApiView(APIView):
    """A view for people and their tokens. A token needs the scope `read` to read, else the view's `scope`."""

    scope: ClassVar[Scope] = Scope.MANAGE
    person: User

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        super().initial(request, *args, **kwargs)
        assert isinstance(request.user, User)  # noqa: S101  IsAuthenticated has seen to it
        self.person = request.user

    def finalize_response(self, request: Request, response: Any, *args: Any, **kwargs: Any) -> Any:
        response = super().finalize_response(request, response, *args, **kwargs)
        # What one person may see no cache between may keep for others.
        response.setdefault("Cache-Control", "no-store")
        return limits.say(request, response)

    @property
    def only_project(self) -> int | None:
        """The id of the project that the token is limited to."""
        return self.request.auth.project_id if isinstance(self.request.auth, Token) else None


class ProjectView(ApiView):
    """A view of one project, for people with one of the roles in it (none named: any).

    To write takes one of `writers`, where these are named.
    """

    roles: ClassVar[tuple[Role, ...]] = ()
    writers: ClassVar[tuple[Role, ...]] = ()
    project: Project
    membership: Membership | None

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        super().initial(request, *args, **kwargs)
        writes = bool(self.writers) and request.method not in SAFE_METHODS
        roles = self.writers if writes else self.roles
        self.project, self.membership = entry(self.person, kwargs["slug"], *roles)
        if self.only_project not in (None, self.project.pk):
            raise Http404(_("There is no such project, or you have no part in it."))


def created(data: Any, location: str = "") -> Response:
    """201, and where it is."""
    return Response(data, status=201, headers={"Location": location} if location else None)


def given(form: type[serializers.Serializer[Any]], request: Request, **options: Any) -> dict[str, Any]:
    """The request's body as the serializer understands it. Raises ValidationError."""
    found = form(data=request.data, **options)
    found.is_valid(raise_exception=True)
    return dict(found.validated_data)


def asked(form: type[serializers.Serializer[Any]], request: Request) -> dict[str, Any]:
    """What stands after the question mark, as the serializer understands it. Raises ValidationError."""
    found = form(data=request.query_params)
    found.is_valid(raise_exception=True)
    return dict(found.validated_data)


class Refused(APIException):
    """A judgment or a gold answer that was not stored, with the reason in words."""

    def __init__(self, error: SubmitError | GoldError) -> None:
        self.status_code = 409 if isinstance(error, LeaseLost) else 400
        super().__init__(str(error), code="lease_lost" if isinstance(error, LeaseLost) else "invalid")
