"""What all API views share: a signed-in person, the project with its access rule, keyset pages."""

from __future__ import annotations

from typing import Any, ClassVar

from rest_framework.exceptions import APIException
from rest_framework.pagination import CursorPagination
from rest_framework.request import Request
from rest_framework.views import APIView

from annotator.access import entry
from annotator.models import Membership, Project, Role, User
from annotator.quality.gold import GoldError
from annotator.ranking.judgments import LeaseLost, SubmitError


class ById(CursorPagination):
    """Pages by id: what is added while somebody reads is neither missed nor read twice."""

    ordering = "id"
    page_size_query_param = "page_size"
    max_page_size = 1000


class ProjectView(APIView):
    """A view of one project, for people with one of the roles in it (none named: any)."""

    roles: ClassVar[tuple[Role, ...]] = ()
    project: Project
    membership: Membership | None
    person: User

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        super().initial(request, *args, **kwargs)
        assert isinstance(request.user, User)  # noqa: S101  IsAuthenticated has seen to it
        self.person = request.user
        self.project, self.membership = entry(self.person, kwargs["slug"], *self.roles)


class Refused(APIException):
    """A judgment or a gold answer that was not stored, with the reason in words."""

    def __init__(self, error: SubmitError | GoldError) -> None:
        self.status_code = 409 if isinstance(error, LeaseLost) else 400
        super().__init__(str(error), code="lease_lost" if isinstance(error, LeaseLost) else "invalid")
