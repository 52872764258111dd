"""The ranking page: claiming, judging, skipping, and keeping hold of what is on the screen.

The page is rendered once. After that its script asks for one comparison ahead (`rank_next`) and sends
judgments with an idempotency key, so that a lost answer or a repeated request changes nothing.
"""

from __future__ import annotations

from django.contrib.auth.decorators import login_required
from django.http import HttpResponse, JsonResponse
from django.shortcuts import render
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_POST, require_safe

from annotator import pausing
from annotator.access import JUDGES, entry, project_for
from annotator.models import Assignment, Membership, Project, Ranking
from annotator.quality import progress
from annotator.ranking import dealing, queue, submit
from annotator.ranking.judgments import LeaseLost, SubmitError
from annotator.requests import PersonRequest
from annotator.views import judging

MOST_HELD = 200
"""Leases a page may name as its own: what it shows, what it fetched ahead, what it could not send yet."""


@require_safe
@never_cache
@login_required
def rank(request: PersonRequest, slug: str) -> HttpResponse:
    project, membership = entry(request.user, slug, *JUDGES)
    if why := pausing.why(project, membership):
        return render(request, "annotator/paused.html", {"project": project, "why": why})
    assignment = queue.claim_next(annotator=request.user, project=project, membership=membership)
    mine = Ranking.objects.filter(annotator=request.user, comparison__project=project)
    last = mine.live().last()
    guideline = project.guideline
    context = {
        "project": project,
        "guideline": guideline,
        "has_read": guideline is None
        or (last is not None and (last.guideline_version or 0) >= guideline.version),
        "can_undo": last is not None,
        "progress": _progress(request, project),
        "waiting_limit": progress.WAITING_CAP,
        "qualification": _qualification(membership),
        **(judging.shown(assignment) if assignment else {}),
    }
    return render(request, "annotator/rank.html", context)


@require_POST
@login_required
def rank_next(request: PersonRequest, slug: str) -> HttpResponse:
    """The next comparison as HTML, beside those that the page holds already.

    204 if there is none, with Retry-After where only others are asked just now; 409 with the reason if this
    person or the whole project is paused.
    """
    project, membership = entry(request.user, slug, *JUDGES)
    try:
        holding = [int(pk) for pk in judging.body_of(request).get("holding", [])[:MOST_HELD]]
    except (TypeError, ValueError):
        return judging.problem(_("The request could not be read."), 400)
    assignment = queue.claim_next(
        annotator=request.user, project=project, holding=holding, membership=membership
    )
    if assignment is not None:
        return HttpResponse(judging.fragment(request, assignment, qualification=_qualification(membership)))
    if membership is not None:
        membership.refresh_from_db()  # the answers just given may have ended the qualification round
    if why := pausing.why(project, membership):
        return judging.problem(why, 409, paused=True)
    return HttpResponse(status=204, headers=queue.why_nothing(request.user, project, membership))


@require_POST
@login_required
def rank_submit(request: PersonRequest, slug: str) -> HttpResponse:
    """Store a judgment. Counts nothing: with many people at work that costs more than storing it."""
    project = project_for(request.user, slug, *JUDGES)
    try:
        body = judging.body_of(request)
        assignment = judging.assignment_of(request, project, body)
        ranking = submit.submit(
            assignment=assignment,
            judgment=judging.judgment_of(body),
            idempotency_key=str(body.get("key", "")),
        )
    except LeaseLost as error:
        return judging.problem(str(error), 409)
    except SubmitError as error:
        return judging.problem(str(error), 400)
    told = submit.feedback(ranking)
    feedback = judging.feedback_fragment(request, ranking, told) if told else None
    return JsonResponse({"ranking": ranking.pk, "feedback": feedback})


@require_POST
@login_required
def rank_skip(request: PersonRequest, slug: str) -> HttpResponse:
    project = project_for(request.user, slug, *JUDGES)
    try:
        body = judging.body_of(request)
        submit.skip(
            assignment=judging.assignment_of(request, project, body), reason=str(body.get("reason", ""))
        )
    except SubmitError as error:
        return judging.problem(str(error), 409)
    return JsonResponse({})


@require_POST
@login_required
def rank_renew(request: PersonRequest, slug: str) -> HttpResponse:
    """Keep hold of the assignments on the page (or let them go, with `release`); which are lost.

    The page counts by itself between these heartbeats, and hears here how the server counts.
    """
    project = project_for(request.user, slug, *JUDGES)
    body = judging.body_of(request)
    try:
        ids = [int(pk) for pk in body.get("assignments", [])[:MOST_HELD]]
    except (TypeError, ValueError):
        return judging.problem(_("The request could not be read."), 400)
    held = Assignment.objects.select_related("comparison__project").filter(
        pk__in=ids, annotator=request.user, comparison__project=project
    )
    change = queue.release if body.get("release") else queue.renew
    kept = {assignment.pk for assignment in held if change(assignment)}
    lost = [pk for pk in ids if pk not in kept]
    if body.get("release"):
        return JsonResponse({"lost": lost})
    return JsonResponse({"lost": lost, "progress": _progress(request, project)})


def _qualification(membership: Membership | None) -> dealing.Round | None:
    return dealing.round_of(membership) if membership is not None else None


def _progress(request: PersonRequest, project: Project) -> dict[str, int]:
    today = progress.today_of(request.user, project)
    return {"today": today, "waiting": progress.waiting_for(request.user, project)}
