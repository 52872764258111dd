"""The one place where the audit log is written: `record`. See also events.record, which calls it.

Where a thing was done (page, admin, API) and from which address is known from the request that is being
answered, which a middleware notes; without one it is a worker's task or a command.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextvars import ContextVar
from enum import Enum
from typing import Any, Final

from celery import current_task
from django.conf import settings
from django.contrib.auth.models import AnonymousUser
from django.db import models
from django.forms import BaseForm
from django.http import HttpRequest
from django.http.response import HttpResponseBase

from annotator.models import AuditEntry, Project, User
from annotator.site.addresses import client_address

Changes = dict[str, list[Any]]
"""{field: [before, after]}"""
Source = AuditEntry.Source

SECRET_WORDS = ("password", "secret", "token", "hash", "session", "signature", "api_key")
"""A field with one of these in its name is said to have changed; from what to what is not."""
HIDDEN = "…"
LONGEST = 500
"""Characters of a value that are kept."""


class _By(Enum):
    REQUEST = 0


BY_REQUEST: Final = _By.REQUEST
"""Who sent the request that is being answered; without one, the site."""

_request: ContextVar[HttpRequest | None] = ContextVar("request of the audit log", default=None)


class AuditMiddleware:
    """Notes which request is being answered."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        token = _request.set(request)
        try:
            return self.get_response(request)
        finally:
            _request.reset(token)


def record(
    action: str,
    *,
    actor: User | AnonymousUser | _By | None = BY_REQUEST,
    project: Project | None = None,
    target: models.Model | None = None,
    name: str = "",
    changes: Changes | None = None,
    details: Mapping[str, Any] | None = None,
) -> AuditEntry:
    """Note that `actor` (None: the site itself) did `action` to `target`, called `name` (its own name).

    `changes` is {field: [before, after]}, as `changes_of` and `differences` make it; `details` anything else
    that JSON can say. Values of fields whose name speaks of a secret are left out of both.
    """
    request = _request.get()
    if actor is BY_REQUEST:
        actor = getattr(request, "user", None)
    person = actor if isinstance(actor, User) else None
    return AuditEntry.objects.create(
        actor=person,
        actor_name=person.get_username()[:150] if person else "",
        source=_source(request),
        action=action[:64],
        project=project,
        object_type=target._meta.label_lower if target is not None else "",
        object_id=str(target.pk)[:64] if target is not None and target.pk is not None else "",
        object_name=(name or (str(target) if target is not None else ""))[:300],
        changes={
            field: [_plain(field, before), _plain(field, after)]
            for field, (before, after) in (changes or {}).items()
        },
        details={field: _plain(field, value) for field, value in (details or {}).items()},
        address=_address(request),
    )


def changes_of(form: BaseForm) -> Changes:
    """What a valid form changes, by its fields' names."""
    return {
        field: [form.get_initial_for_field(form.fields[field], field), form.cleaned_data.get(field)]
        for field in form.changed_data
        if field in form.fields
    }


def differences(before: Mapping[str, Any], after: Mapping[str, Any]) -> Changes:
    """The fields in which two sets of values differ."""
    return {
        field: [before.get(field), after.get(field)]
        for field in {**before, **after}
        if before.get(field) != after.get(field)
    }


def _source(request: HttpRequest | None) -> AuditEntry.Source:
    if request is None:
        return Source.WORKER if current_task else Source.COMMAND
    for prefix, source in (("/admin/", Source.ADMIN), ("/api/", Source.API)):
        if request.path_info.startswith(prefix):
            return source
    return Source.PAGE


def _address(request: HttpRequest | None) -> str | None:
    if request is None or not settings.AUDIT_ADDRESSES:
        return None
    return client_address(request)


def _plain(field: str, value: Any) -> Any:
    """A value as JSON that tells no secret and is not too long."""
    if any(word in field.lower() for word in SECRET_WORDS):
        return HIDDEN if value else value if value is None else ""
    match value:
        case None | bool() | int() | float():
            return value
        case Mapping():
            return {str(key)[:LONGEST]: _plain(str(key), item) for key, item in list(value.items())[:100]}
        case list() | tuple() | set() | models.QuerySet():
            return [_plain(field, item) for item in list(value)[:100]]
    text = str(value)
    return text if len(text) <= LONGEST else text[:LONGEST] + "…"
