"""The ranking page: claiming, judging, undoing, skipping, and keeping hold of what is on the screen.

The page is rendered once. After that its script asks for one comparison ahead (`rank_next`) and sends
judgments with an idempotency key, so that a lost answer or a repeated request changes nothing.
"""

from __future__ import annotations

import json
from typing import Any

from django.contrib.auth.decorators import login_required
from django.http import HttpResponse, JsonResponse
from django.shortcuts import get_object_or_404, render
from django.template.loader import render_to_string
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_POST, require_safe

from annotator.access import JUDGES, membership_of, project_for
from annotator.models import Assignment, Completion, Project, Ranking, ResponseFormat, Verdict
from annotator.quality import progress
from annotator.ranking import queue, submit
from annotator.ranking.submit import InvalidJudgment, Judgment, LeaseLost, SubmitError
from annotator.requests import PersonRequest

MOST_HELD = 200
"""Leases a page may name as its own: what it shows, what it fetched ahead, what it could not send yet."""


@require_safe
@never_cache
@login_required
def rank(request: PersonRequest, slug: str) -> HttpResponse:
    project = project_for(request.user, slug, *JUDGES)
    membership = membership_of(request.user, project)
    if membership is not None and membership.paused_at is not None:
        return render(request, "annotator/paused.html", {"project": project, "membership": membership})
    assignment = queue.claim_next(annotator=request.user, project=project)
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
        **(_shown(assignment) if assignment else {}),
    }
    return render(request, "annotator/rank.html", context)


@require_POST
@login_required
def rank_next(request: PersonRequest, slug: str) -> HttpResponse:
    """The next comparison as HTML, beside those that the page holds already; 204 if there is none."""
    project = project_for(request.user, slug, *JUDGES)
    try:
        holding = [int(pk) for pk in _body(request).get("holding", [])[:MOST_HELD]]
    except (TypeError, ValueError):
        return _problem(_("The request could not be read."), 400)
    assignment = queue.claim_next(annotator=request.user, project=project, holding=holding)
    if assignment is None:
        return HttpResponse(status=204)
    return HttpResponse(_fragment(request, assignment))


@require_POST
@login_required
def rank_submit(request: PersonRequest, slug: str) -> HttpResponse:
    project = project_for(request.user, slug, *JUDGES)
    try:
        body = _body(request)
        assignment = _assignment(request, project, body)
        ranking = submit.submit(
            assignment=assignment, judgment=_judgment(body), idempotency_key=str(body.get("key", ""))
        )
    except LeaseLost as error:
        return _problem(str(error), 409)
    except SubmitError as error:
        return _problem(str(error), 400)
    return JsonResponse({"ranking": ranking.pk, "progress": _progress(request, project)})


@require_POST
@login_required
def rank_undo(request: PersonRequest, slug: str) -> HttpResponse:
    """Take this person's latest judgment back, and give its comparison to the page again."""
    project = project_for(request.user, slug, *JUDGES)
    key = str(_body(request).get("key", ""))
    mine = Ranking.objects.filter(annotator=request.user, comparison__project=project)
    repeated = mine.filter(idempotency_key=key, verdict=Verdict.UNDONE).first()
    last = repeated.supersedes if repeated else mine.live().last()
    if last is None:
        return _problem(_("There is nothing to undo."), 409)
    try:
        submit.undo(annotator=request.user, ranking=last, idempotency_key=key)
    except SubmitError as error:
        return _problem(str(error), 409)
    assignment = Assignment.objects.select_related("comparison__prompt", "comparison__project").get(
        pk=last.assignment_id
    )
    return JsonResponse(
        {
            "html": _fragment(request, assignment),
            "judgment": _as_given(last),
            "can_undo": mine.live().exists(),
            "progress": _progress(request, project),
        }
    )


@require_POST
@login_required
def rank_skip(request: PersonRequest, slug: str) -> HttpResponse:
    project = project_for(request.user, slug, *JUDGES)
    try:
        body = _body(request)
        submit.skip(assignment=_assignment(request, project, body), reason=str(body.get("reason", "")))
    except SubmitError as error:
        return _problem(str(error), 409)
    return JsonResponse({"progress": _progress(request, project)})


@require_POST
@login_required
def rank_renew(request: PersonRequest, slug: str) -> HttpResponse:
    """Keep hold of the assignments on the page (or let them go, with `release`); which are lost."""
    project = project_for(request.user, slug, *JUDGES)
    body = _body(request)
    try:
        ids = [int(pk) for pk in body.get("assignments", [])[:MOST_HELD]]
    except (TypeError, ValueError):
        return _problem(_("The request could not be read."), 400)
    held = Assignment.objects.select_related("comparison__project").filter(
        pk__in=ids, annotator=request.user, comparison__project=project
    )
    change = queue.release if body.get("release") else queue.renew
    kept = {assignment.pk for assignment in held if change(assignment)}
    return JsonResponse({"lost": [pk for pk in ids if pk not in kept]})


def _shown(assignment: Assignment) -> dict[str, Any]:
    """What the page shows of an assignment: never who or what wrote a text."""
    comparison = assignment.comparison
    project = comparison.project
    texts = Completion.objects.in_bulk(assignment.order)
    return {
        "assignment": assignment,
        "project": project,
        "prompt": comparison.prompt,
        "instructions": [
            {"id": pk, "letter": letter, "text": texts[pk].text}
            for pk, letter in zip(assignment.order, "ABCDEFGHI", strict=False)
        ],
        "form": _form(project, len(assignment.order)),
        "places": range(1, len(assignment.order) + 1),
        "scale_values": range(1, 6),
    }


def _form(project: Project, k: int) -> str:
    if k == 2:
        return ResponseFormat.PAIRWISE.value
    if project.response_format == ResponseFormat.BEST_WORST:
        return ResponseFormat.BEST_WORST.value
    return ResponseFormat.RANKING.value


def _fragment(request: PersonRequest, assignment: Assignment) -> str:
    return render_to_string("annotator/_comparison.html", _shown(assignment), request)


def _body(request: PersonRequest) -> dict[str, Any]:
    """The JSON object that was sent (in the field `json` of a form when the page is being left)."""
    sent: Any = request.POST.get("json") or request.body
    try:
        body = json.loads(sent)
    except ValueError as error:
        raise InvalidJudgment(_("The request could not be read.")) from error
    return body if isinstance(body, dict) else {}


def _assignment(request: PersonRequest, project: Project, body: dict[str, Any]) -> Assignment:
    pk = body.get("assignment")
    if not isinstance(pk, int):
        raise InvalidJudgment(_("The request could not be read."))
    return get_object_or_404(Assignment, pk=pk, annotator=request.user, comparison__project=project)


def _judgment(body: dict[str, Any]) -> Judgment:
    try:
        return Judgment(
            verdict=str(body.get("verdict", Verdict.RANKED)),
            ranks={int(key): rank for key, rank in body.get("ranks", {}).items()},
            strength=body.get("strength"),
            reason=str(body.get("reason", "")),
            flags={int(key): [str(flag) for flag in flags] for key, flags in body.get("flags", {}).items()},
            ratings={int(key): dict(values) for key, values in body.get("ratings", {}).items()},
            rationale=str(body.get("rationale", "")),
            improved_text=str(body.get("improved_text", "")),
            seconds=None if body.get("seconds") is None else float(body["seconds"]),
        )
    except (AttributeError, TypeError, ValueError) as error:
        raise InvalidJudgment(_("The request could not be read.")) from error


def _as_given(ranking: Ranking) -> dict[str, Any]:
    """A judgment as the page sent it, to fill its form in again."""
    fields = ("verdict", "ranks", "strength", "reason", "flags", "ratings", "rationale", "improved_text")
    return {name: getattr(ranking, name) for name in fields}


def _progress(request: PersonRequest, project: Project) -> dict[str, int]:
    today = progress.today_of(request.user, project)
    return {"today": today, "waiting": progress.waiting_for(request.user, project)}


def _problem(message: str, status: int) -> JsonResponse:
    return JsonResponse({"error": message}, status=status)
