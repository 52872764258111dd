"""What the OpenAPI description says of every view alike: problems, tags, scopes, Idempotency-Key."""

from __future__ import annotations

from typing import Any

from drf_spectacular.openapi import AutoSchema
from drf_spectacular.utils import OpenApiParameter
from rest_framework.permissions import SAFE_METHODS, AllowAny

from annotator.api.authentication import scope_of
from annotator.api.problems import TYPE, ProblemOutput

ALWAYS = (401, 403, 404, 429)
WRITING = (400, 409, 413, 415, 422, 503)
WORDS = {
    400: "The request is not valid.",
    401: "No valid token and no session.",
    403: "The role or the token's scopes do not allow this.",
    404: "There is no such thing, or you have no part in it.",
    409: "It does not fit the present state.",
    413: "The body is too large.",
    415: "The body is of another type than this takes.",
    422: "It is understood, but cannot be done.",
    429: "Too many requests; Retry-After says when to ask again.",
    503: "Something that answers this is not there now; Retry-After says when to ask again.",
    "default": "Any other problem.",
}


class Schema(AutoSchema):
    def get_tags(self) -> list[str]:
        return [getattr(self.view, "tag", "projects")]

    def get_description(self) -> str:  # type: ignore[override]  # drf-spectacular's own
        described: str = super().get_description() or ""
        if AllowAny in self.view.permission_classes:
            return described
        return f"{described}\n\nScope of a token: `{scope_of(self.view, self.method).value}`."

    def get_override_parameters(self) -> list[Any]:
        if not getattr(getattr(self.view, self.method.lower(), None), "is_idempotent", False):
            return []
        return [
            OpenApiParameter(
                "Idempotency-Key",
                str,
                OpenApiParameter.HEADER,
                description="Repeating the request with the same key is safe, for 24 hours.",
            )
        ]

    def _get_response_bodies(self, direction: Any = "response") -> dict[str, Any]:
        found: dict[str, Any] = super()._get_response_bodies(direction)
        reference = self.resolve_serializer(ProblemOutput, "response").ref
        own_400 = [400] if self.method in SAFE_METHODS and self._is_list_view() else []
        statuses = (*ALWAYS, *(own_400 if self.method in SAFE_METHODS else WRITING))
        for status in (*statuses, "default"):
            found.setdefault(
                str(status), {"description": WORDS[status], "content": {TYPE: {"schema": reference}}}
            )
        return found
