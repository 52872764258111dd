"""The first page: my queues."""

from __future__ import annotations

from dataclasses import dataclass

from django.contrib.auth.decorators import login_required
from django.http import HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from annotator import pausing
from annotator.access import JUDGES, may_create_projects
from annotator.models import Membership, Project, Role, User
from annotator.quality import progress
from annotator.requests import PersonRequest


@dataclass(frozen=True)
class Queue:
    """One project as its member sees it on the first page."""

    project: Project
    membership: Membership | None
    waiting: int
    mine: progress.AnnotatorProgress

    @property
    def may_rank(self) -> bool:
        return self.membership is None or self.membership.role in JUDGES

    @property
    def why_paused(self) -> str:
        """Empty where nothing is paused."""
        return pausing.why(self.project, self.membership)

    @property
    def may_manage(self) -> bool:
        return self.membership is None or self.membership.role != Role.ANNOTATOR

    @property
    def today_share(self) -> int:
        """How much of what today's work could be is done, of 100."""
        return round(100 * self.mine.today / max(1, self.mine.today + self.waiting))


@require_safe
@login_required
def home(request: PersonRequest) -> HttpResponse:
    return render(
        request,
        "annotator/home.html",
        {
            "queues": queues_of(request.user),
            "may_create": may_create_projects(request.user),
            "waiting_limit": progress.WAITING_CAP,
        },
    )


def queues_of(user: User) -> list[Queue]:
    memberships = {row.project_id: row for row in Membership.objects.filter(user=user)}
    return [
        Queue(
            project=project,
            membership=memberships.get(project.pk),
            waiting=progress.waiting_for(user, project),
            mine=progress.of_annotator(user, project),
        )
        for project in Project.objects.visible_to(user)
    ]
