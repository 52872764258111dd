"""Consent: withdrawing one's judgments in a project from what leaves the site, and giving them back.

Nothing is deleted: a withdrawal is a row of its own. While it is in force, exports and training snapshots
leave the judgments out (`Ranking.objects.consented()`), and saved exports that may hold them are not handed
out any more. The queue counts them as before: a comparison that was closed by them stays closed.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from django.db import IntegrityError, transaction
from django.db.models import Count, Min
from django.http import Http404
from django.utils import timezone
from django.utils.translation import gettext as _

from annotator import events
from annotator.access import JUDGES
from annotator.models import Project, Ranking, User, Withdrawal


@dataclass(frozen=True)
class Part:
    """What somebody has given in one project, and whether it may be used."""

    project: Project
    judgments: int
    is_member: bool
    withdrawn_at: datetime | None


def parts_of(user: User) -> list[Part]:
    """The projects whose judges the user is among, or was when they judged; members' first."""
    member = set(user.memberships.filter(role__in=JUDGES).values_list("project", flat=True))
    judged = dict(
        Ranking.objects.live()
        .filter(annotator=user)
        .order_by()
        .values_list("comparison__project")
        .annotate(n=Count("pk"))
    )
    withdrawn = dict(
        Withdrawal.objects.filter(annotator=user, taken_back_at=None).values_list("project", "created_at")
    )
    projects = Project.objects.in_bulk({*member, *judged, *withdrawn})
    parts = [
        Part(project, judged.get(pk, 0), pk in member, withdrawn.get(pk)) for pk, project in projects.items()
    ]
    return sorted(parts, key=lambda part: (not part.is_member, part.project.name.casefold()))


def part_of(user: User, slug: str) -> Part:
    """The user's part in one project; Http404 for a project in which they neither judge nor have judged."""
    for part in parts_of(user):
        if part.project.slug == slug:
            return part
    raise Http404(_("There is no such project, or you have no part in it."))


def withdraw(user: User, project: Project) -> bool:
    """Withdraw the user's judgments in the project, past and future. False if they were already."""
    try:
        with transaction.atomic():
            Withdrawal.objects.create(project=project, annotator=user)
            events.record(project, user, "withdrew their judgments", user.username)
    except IntegrityError:
        return False
    return True


def give_back(user: User, project: Project) -> bool:
    """Let the judgments be used again. False if they were not withdrawn."""
    in_force = Withdrawal.objects.filter(project=project, annotator=user, taken_back_at=None)
    with transaction.atomic():
        if not in_force.update(taken_back_at=timezone.now()):
            return False
        events.record(project, user, "gave their judgments back", user.username)
    return True


def withdrawn_ids(project: Project) -> frozenset[int]:
    """The annotators whose judgments leave the site no more."""
    rows = Withdrawal.objects.filter(project=project, taken_back_at=None)
    return frozenset(rows.values_list("annotator", flat=True))


@dataclass(frozen=True)
class Recall:
    """What has been withdrawn from a project, to tell which files may still be handed out."""

    withdrawals: tuple[tuple[datetime, int], ...]
    """When, and the first judgment of the project that it is about."""

    @classmethod
    def of(cls, project: Project) -> Recall:
        in_force = dict(
            Withdrawal.objects.filter(project=project, taken_back_at=None).values_list(
                "annotator", "created_at"
            )
        )
        judged = Ranking.objects.filter(comparison__project=project, annotator__in=in_force).order_by()
        firsts = dict(judged.values_list("annotator").annotate(first=Min("pk")))
        return cls(tuple((in_force[user_id], first) for user_id, first in firsts.items()))

    def concerns(self, *, made_at: datetime | None, last_ranking: int) -> bool:
        """Whether a file of judgments up to this one may hold some that were withdrawn after it was made."""
        return made_at is not None and any(
            at >= made_at and first <= last_ranking for at, first in self.withdrawals
        )


def withdrawn_among(project: Project, user_ids: Iterable[int]) -> dict[int, datetime]:
    """Which of these people have withdrawn from the project, and when."""
    rows = Withdrawal.objects.filter(project=project, annotator__in=list(user_ids), taken_back_at=None)
    return dict(rows.values_list("annotator", "created_at"))
