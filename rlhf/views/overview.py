"""The first page of a project: the loop as a picture, what it waits for, and how it has come along."""

from __future__ import annotations

import hashlib
import json
from typing import Any

from django.contrib.auth.decorators import login_required
from django.http import HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from annotator import consent, events
from annotator.access import project_for
from annotator.models import Project, Role, User
from annotator.plots import as_json
from annotator.quality import progress
from annotator.requests import PersonRequest
from rlhf import curves, facts, overview
from rlhf.views.roles import role_of

EVENTS = 6


@require_safe
@login_required
def project(request: PersonRequest, slug: str) -> HttpResponse:
    """The whole page; for htmx the part that changes, or 204 if that is what it has `seen` already."""
    project = project_for(request.user, slug)
    role = role_of(request.user, project)
    if role == Role.ANNOTATOR:
        return _annotators_page(request, project)
    context = _live(project, request.user, manages=role == Role.MANAGER)
    if request.htmx:
        if request.GET.get("seen") == context["fingerprint"]:
            return HttpResponse(status=204)
        return render(request, "rlhf/_overview_live.html", context)
    context["plots"] = as_json(curves.plots_of())
    return render(request, "rlhf/overview.html", context)


def _live(project: Project, reader: User, *, manages: bool) -> dict[str, Any]:
    loop = overview.loop_of(project, facts.gather(project), manages=manages)
    queue = progress.of_project(project)
    latest = list(events.seen_by(project, reader)[:EVENTS])
    points = curves.over_iterations(project)
    return {
        "project": project,
        "manages": manages,
        "loop": loop,
        "queue": queue,
        "queue_total": queue.judgments + queue.remaining,
        "seconds_to_go": 3600 * queue.remaining / queue.last_hour if queue.last_hour else None,
        "events": latest,
        "points": points,
        "points_json": json.dumps(points),
        "fingerprint": _fingerprint(loop, queue, points, [event.pk for event in latest]),
    }


def _fingerprint(*parts: object) -> str:
    return hashlib.sha256(repr(parts).encode()).hexdigest()[:16]


def _annotators_page(request: PersonRequest, project: Project) -> HttpResponse:
    context = {
        "project": project,
        "mine": progress.of_annotator(request.user, project),
        "waiting": progress.waiting_for(request.user, project),
        "waiting_limit": progress.WAITING_CAP,
        "withdrawn": request.user.pk in consent.withdrawn_among(project, [request.user.pk]),
    }
    return render(request, "rlhf/overview_annotator.html", context)
