"""Actions on rows that somebody has ticked: asked about first where need be, counted, told, and logged."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any

from django.contrib import messages
from django.contrib.admin import helpers
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from annotator import audit
from annotator.models import Project

MOST = 1_000
"""Rows that one action is done to."""
MOST_SHOWN = 50

Work = Callable[[Any, HttpRequest, Any], bool]
Action = Callable[[Any, HttpRequest, QuerySet[Any]], HttpResponse | None]


class CannotDo(Exception):
    """Why it could not be done to a row, in words for people; the others are not affected."""


def each(
    description: str | Promise, *, confirm: str | Promise = "", audited: str = "", permission: str = "operate"
) -> Callable[[Work], Action]:
    """An action that does `work` to each row; the work says whether it changed something.

    `confirm` says what cannot be taken back, and is asked first. `audited` is what the audit log calls it,
    where the work does not write there itself.
    """

    def decorate(work: Work) -> Action:
        @wraps(work)
        def run(admin: Any, request: HttpRequest, queryset: QuerySet[Any]) -> HttpResponse | None:
            rows = list(queryset[: MOST + 1])
            if len(rows) > MOST:
                text = _("At most %(n)d at once. Nothing was done; choose fewer.") % {"n": MOST}
                admin.message_user(request, text, messages.ERROR)
                return None
            if confirm and "confirmed" not in request.POST:
                return _ask(admin, request, rows, description, confirm, work.__name__)
            done = 0
            for row in rows:
                try:
                    changed = work(admin, request, row)
                except CannotDo as error:
                    admin.message_user(request, f"{row}: {error}", messages.WARNING)
                    continue
                done += changed
                if changed and audited:
                    audit.record(audited, project=project_of(row), target=row)
            _tell(admin, request, description, done, len(rows) - done)
            return None

        run.short_description = description  # type: ignore[attr-defined]
        run.allowed_permissions = [permission]  # type: ignore[attr-defined]
        return run

    return decorate


def project_of(row: Any) -> Project | None:
    """The project that a row belongs to, where it knows one."""
    if isinstance(row, Project):
        return row
    for path in (("project",), ("comparison", "project"), ("prompt", "project"), ("run", "project")):
        found = row
        for name in path:
            found = getattr(found, name, None)
        if isinstance(found, Project):
            return found
    return None


def _tell(admin: Any, request: HttpRequest, description: str | Promise, done: int, left: int) -> None:
    text = _("%(what)s: %(n)d done.") % {"what": description, "n": done}
    if left:
        rest = ngettext("%(n)d was left as it is.", "%(n)d were left as they are.", left)
        text = f"{text} {rest % {'n': left}}"
    admin.message_user(request, text, messages.SUCCESS if done else messages.WARNING)


def _ask(
    admin: Any,
    request: HttpRequest,
    rows: list[Any],
    description: str | Promise,
    consequence: str | Promise,
    name: str,
) -> HttpResponse:
    context = {
        **admin.admin_site.each_context(request),
        "opts": admin.opts,
        "title": description,
        "consequence": consequence,
        "rows": rows[:MOST_SHOWN],
        "more": max(0, len(rows) - MOST_SHOWN),
        "ids": [row.pk for row in rows],
        "action": name,
        "checkbox_name": helpers.ACTION_CHECKBOX_NAME,
        "media": admin.media,
    }
    return TemplateResponse(request, "admin/confirm_action.html", context)
