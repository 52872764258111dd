"""The log of who did what in a project, shown on its overview."""

from __future__ import annotations

from django.contrib.auth.models import AnonymousUser
from django.db.models import QuerySet

from annotator.access import MANAGERS, has_role
from annotator.models import Event, Project, User

ABOUT_PEOPLE = frozenset(
    {
        *("added", "changed", "removed", "paused"),
        *("made an invitation", "revoked an invitation", "joined by invitation"),
        *("withdrew their judgments", "gave their judgments back"),
    }
)
"""What names members beside a time: only those who run the project are told.

With it a researcher could tell whose pseudonym stops, pauses or begins at that moment in the data.
"""


def seen_by(project: Project, reader: User | AnonymousUser) -> QuerySet[Event]:
    """The project's events that this manager or researcher may see, the newest first."""
    found = project.events.select_related("actor")
    if has_role(reader, project, *MANAGERS):
        return found
    # A run that was resumed has an address; a member whose pause was lifted has none.
    return found.exclude(verb__in=ABOUT_PEOPLE).exclude(verb="resumed", url="")


def record(
    project: Project, actor: User | AnonymousUser | None, verb: str, subject: str = "", url: str = ""
) -> Event:
    """Note that `actor` (None: the site itself) did `verb` to `subject`, to be found at `url`."""
    person = actor if isinstance(actor, User) else None
    return Event.objects.create(
        project=project, actor=person, verb=verb, subject=subject[:300], url=url[:300]
    )
