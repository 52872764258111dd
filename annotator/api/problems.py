"""Errors as problem details (RFC 9457): application/problem+json for whatever goes wrong under /api/."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from http import HTTPStatus
from typing import Any

from django.core.exceptions import PermissionDenied, RequestDataTooBig, SuspiciousOperation
from django.http import Http404, HttpRequest, HttpResponse, UnreadablePostError
from django.urls import Resolver404, resolve
from django.utils.translation import gettext as _
from django.views import defaults
from django.views.decorators.csrf import csrf_exempt
from rest_framework import exceptions, serializers
from rest_framework.response import Response
from rest_framework.views import exception_handler, set_rollback

log = logging.getLogger(__name__)

TYPE = "application/problem+json"
URN = "urn:prefloop:problem:"


class FieldProblemOutput(serializers.Serializer[Any]):
    pointer = serializers.CharField(help_text="Where in the body, as a JSON Pointer (RFC 6901).")
    detail = serializers.CharField()
    code = serializers.CharField()


class ProblemOutput(serializers.Serializer[Any]):
    """Problem details by RFC 9457."""

    type = serializers.CharField(help_text="Names the kind of problem; ends with `code`.")
    title = serializers.CharField()
    status = serializers.IntegerField()
    detail = serializers.CharField(help_text="What happened, in words, in the caller's language.")
    code = serializers.CharField(help_text="The kind of problem, for programs.")
    errors = FieldProblemOutput(  # type: ignore[assignment]  # a field of the name that DRF keeps results under
        many=True, required=False, help_text="What is wrong with which field."
    )


class TooLarge(exceptions.APIException):
    status_code = 413
    default_code = "too_large"


class Unprocessable(exceptions.APIException):
    """Understood and well formed, but it cannot be done."""

    status_code = 422
    default_code = "unprocessable"


class Conflict(exceptions.APIException):
    status_code = 409
    default_code = "conflict"


class Unavailable(exceptions.APIException):
    """Something that answers this is not there now; `wait` says when to ask again, in seconds."""

    status_code = 503
    default_code = "unavailable"

    def __init__(self, detail: str, wait: int = 5) -> None:
        super().__init__(detail)
        self.wait = wait


def handle(error: Exception, context: dict[str, Any]) -> Response | None:
    """DRF's exception handler: its statuses and headers, our form."""
    known = _known(error)
    response = exception_handler(known, context)
    if response is None:
        return None  # a 500, which `server_error` answers
    if not isinstance(known, exceptions.APIException):
        known = exceptions.NotFound(str(known)) if isinstance(known, Http404) else _denied(known)
    response.data = problem_of(known, response.status_code)
    response.content_type = TYPE
    if isinstance(known, Unavailable):
        response["Retry-After"] = str(known.wait)
    set_rollback()
    return response


def problem_of(error: exceptions.APIException, status: int) -> dict[str, Any]:
    """The body."""
    if isinstance(error, exceptions.ValidationError):
        errors = list(_errors(error.get_full_details()))
        detail = " ".join(
            f"{one['pointer'].lstrip('/')}: {one['detail']}" if one["pointer"] else one["detail"]
            for one in errors[:3]
        )
        return problem(status, "invalid", detail) | {"errors": errors}
    detail = error.detail if isinstance(error.detail, str) else json.dumps(error.detail)
    code = error.get_codes()
    return problem(status, code if isinstance(code, str) else error.default_code, str(detail))


def problem(status: int, code: str, detail: str) -> dict[str, Any]:
    return {
        "type": URN + code,
        "title": HTTPStatus(status).phrase,
        "status": status,
        "detail": detail or HTTPStatus(status).description,
        "code": code,
    }


def answer(status: int, code: str, detail: str) -> HttpResponse:
    """The problem as a response, where there is no view to make one."""
    body = json.dumps(problem(status, code, detail), ensure_ascii=False)
    return HttpResponse(body, status=status, content_type=TYPE)


@csrf_exempt  # a token's call has no cookie to be abused, and is to be told where it went wrong
def unknown_address(request: HttpRequest) -> HttpResponse:
    """What is at no address under /api/: also when only the slash at the end was forgotten."""
    detail = _("There is nothing at this address.")
    if not request.path_info.endswith("/"):
        try:
            found = resolve(f"{request.path_info}/").func is not unknown_address
        except Resolver404:
            found = False
        if found:
            detail = _("Addresses end with a slash: %(address)s") % {"address": f"{request.path_info}/"}
    return answer(404, "not_found", detail)


def bad_request(request: HttpRequest, exception: Exception) -> HttpResponse:
    """Django's handler400, with problem details under /api/."""
    if not request.path_info.startswith("/api/"):
        return defaults.bad_request(request, exception)
    if isinstance(exception, RequestDataTooBig):
        return answer(413, "too_large", _("The request's body is too large."))
    return answer(400, "invalid", _("The request cannot be read."))


def server_error(request: HttpRequest) -> HttpResponse:
    """Django's handler500, with problem details under /api/. What went wrong stands in the log alone."""
    if not request.path_info.startswith("/api/"):
        return defaults.server_error(request)
    return answer(500, "error", _("Something went wrong here. It has been noted; nothing was stored."))


def _known(error: Exception) -> Exception:
    """Errors that Django raises while a body is read, as those that DRF knows."""
    if isinstance(error, RequestDataTooBig):
        return TooLarge(_("The request's body is too large."))
    if isinstance(error, SuspiciousOperation | UnreadablePostError):
        return exceptions.ParseError(_("The request cannot be read."))
    return error


def _denied(error: Exception) -> exceptions.APIException:
    return exceptions.PermissionDenied(str(error) or None if isinstance(error, PermissionDenied) else None)


def _errors(found: Any, pointer: str = "") -> Iterator[dict[str, str]]:
    """What DRF says of fields, as a flat list with pointers."""
    if isinstance(found, dict) and set(found) == {"message", "code"} and isinstance(found["code"], str):
        yield {"pointer": pointer, "detail": str(found["message"]), "code": found["code"]}
    elif isinstance(found, dict):
        for name, inner in found.items():
            here = str(name).replace("~", "~0").replace("/", "~1")
            yield from _errors(inner, pointer if name == "non_field_errors" else f"{pointer}/{here}")
    elif isinstance(found, list):
        is_many = any(not (isinstance(inner, dict) and set(inner) == {"message", "code"}) for inner in found)
        for number, inner in enumerate(found):
            yield from _errors(inner, f"{pointer}/{number}" if is_many else pointer)
