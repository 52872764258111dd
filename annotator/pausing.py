"""A whole project paused: nobody in it is given comparisons. What somebody holds, they may still submit.

One person's pause is in annotator/quality/watch.py.
"""

from __future__ import annotations

from django.db import transaction
from django.db.models.functions import Now
from django.utils.translation import gettext as _

from annotator import events
from annotator.models import Membership, Project, User
from annotator.quality import watch


@transaction.atomic
def pause(project: Project, by: User | None) -> bool:
    """Hand nothing out any more; False if it was paused already."""
    changed = Project.objects.filter(pk=project.pk, paused_at=None).update(paused_at=Now())
    return _note(project, by, "paused the project", changed)


@transaction.atomic
def resume(project: Project, by: User | None) -> bool:
    """Go on handing out; False if it was not paused."""
    changed = Project.objects.filter(pk=project.pk, paused_at__isnull=False).update(paused_at=None)
    return _note(project, by, "resumed the project", changed)


def why(project: Project, membership: Membership | None) -> str:
    """Why nothing is handed out to this person, in their language; empty where nothing is paused."""
    if project.paused_at is not None:
        return _("The whole project is paused for now.")
    if membership is not None and membership.paused_at is not None:
        return watch.reason(membership)
    return ""


def _note(project: Project, by: User | None, verb: str, changed: int) -> bool:
    if changed:
        project.refresh_from_db(fields=["paused_at"])
        events.record(project, by, verb, project.name, project.get_absolute_url(), target=project)
    return bool(changed)
