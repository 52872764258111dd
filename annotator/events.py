"""The log of who did what in a project, shown on its overview; each is an entry of the audit log as well."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.contrib.auth.models import AnonymousUser
from django.db import models

from annotator import audit
from annotator.models import Event, Project, User


def record(
    project: Project,
    actor: User | AnonymousUser | None,
    verb: str,
    subject: str = "",
    url: str = "",
    *,
    target: models.Model | None = None,
    changes: audit.Changes | None = None,
    details: Mapping[str, Any] | None = None,
) -> Event:
    """Note that `actor` (None: the site itself) did `verb` to `subject`, to be found at `url`.

    The row that it was done to, what was there before and after, and other details go to the audit log.
    """
    person = actor if isinstance(actor, User) else None
    audit.record(
        verb, actor=person, project=project, target=target, name=subject, changes=changes, details=details
    )
    return Event.objects.create(
        project=project, actor=person, verb=verb, subject=subject[:300], url=url[:300]
    )
