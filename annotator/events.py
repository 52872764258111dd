"""The log of who did what in a project, shown on its overview."""

from __future__ import annotations

from django.contrib.auth.models import AnonymousUser

from annotator.models import Event, Project, User


def record(
    project: Project, actor: User | AnonymousUser | None, verb: str, subject: str = "", url: str = ""
) -> Event:
    """Note that `actor` (None: the site itself) did `verb` to `subject`, to be found at `url`."""
    person = actor if isinstance(actor, User) else None
    return Event.objects.create(
        project=project, actor=person, verb=verb, subject=subject[:300], url=url[:300]
    )
