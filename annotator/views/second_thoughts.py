"""Beside judging: taking judgments back, the latest ones, own progress, notes to the managers."""

from __future__ import annotations

from datetime import timedelta

from django.contrib.auth.decorators import login_required
from django.db.models import QuerySet
from django.http import HttpResponse, JsonResponse
from django.shortcuts import render
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_POST, require_safe

from annotator.access import JUDGES, project_for
from annotator.models import Assignment, Note, Project, Ranking, Verdict
from annotator.prompts.cleaning import strip_text
from annotator.quality import progress
from annotator.ranking import submit
from annotator.ranking.judgments import SubmitError
from annotator.ranking.words import in_words
from annotator.requests import PersonRequest
from annotator.views import judging

SHOWN = 10
"""How many of the latest judgments can be changed from the list."""

LONGEST_NOTE = 2000
NOTES_AN_HOUR = 30


@require_POST
@login_required
def rank_undo(request: PersonRequest, slug: str) -> HttpResponse:
    """Take a judgment back (the latest, or `ranking`), and give its comparison to the page again."""
    project = project_for(request.user, slug, *JUDGES)
    body = judging.body_of(request)
    key, wanted = str(body.get("key", "")), body.get("ranking")
    mine = Ranking.objects.filter(annotator=request.user, comparison__project=project)
    repeated = mine.filter(idempotency_key=key, verdict=Verdict.UNDONE).first()
    if repeated:
        taken = repeated.supersedes
    elif isinstance(wanted, int):
        taken = _changeable(request, project).filter(pk=wanted).first()
    else:
        taken = _changeable(request, project).first()
    if taken is None:
        return judging.problem(_("There is nothing to undo."), 409)
    try:
        submit.undo(annotator=request.user, ranking=taken, idempotency_key=key)
    except SubmitError as error:
        return judging.problem(str(error), 409)
    assignment = Assignment.objects.select_related("comparison__prompt", "comparison__project").get(
        pk=taken.assignment_id
    )
    return JsonResponse(
        {
            "html": judging.fragment(request, assignment),
            "judgment": judging.as_given(taken),
            "can_undo": _changeable(request, project).exists(),
        }
    )


@require_safe
@never_cache
@login_required
def rank_latest(request: PersonRequest, slug: str) -> HttpResponse:
    """The latest judgments of this person, each with a button to change it."""
    project = project_for(request.user, slug, *JUDGES)
    latest = _changeable(request, project).select_related("comparison__prompt")[:SHOWN]
    rows = [
        {
            "ranking": ranking,
            "task": ranking.comparison.prompt.text,
            "said": in_words(
                ranking.verdict,
                {int(key): rank for key, rank in ranking.ranks.items()},
                ranking.order,
                ranking.strength,
            ),
        }
        for ranking in latest
    ]
    return render(request, "annotator/_latest.html", {"rows": rows})


@require_safe
@never_cache
@login_required
def rank_progress(request: PersonRequest, slug: str) -> HttpResponse:
    """This person's own total and pace, and their agreement with others if the project shows it."""
    project = project_for(request.user, slug, *JUDGES)
    context = {
        "project": project,
        "mine": progress.of_annotator(request.user, project),
        "own": progress.own_quality(request.user, project),
    }
    return render(request, "annotator/_own_progress.html", context)


@require_POST
@login_required
def rank_note(request: PersonRequest, slug: str) -> HttpResponse:
    """Tell the managers something, about the comparison on the screen if there is one."""
    project = project_for(request.user, slug, *JUDGES)
    body = judging.body_of(request)
    text = strip_text(str(body.get("text", "")))
    if not text:
        return judging.problem(_("Write the note first."), 400)
    if len(text) > LONGEST_NOTE:
        return judging.problem(
            _("The text is longer than %(limit)d characters.") % {"limit": LONGEST_NOTE}, 400
        )
    comparison = None
    if body.get("assignment") is not None:
        comparison = judging.assignment_of(request, project, body).comparison
    recent = Note.objects.filter(
        project=project, author=request.user, created_at__gte=timezone.now() - timedelta(hours=1)
    )
    # The same words again are the same note, whose answer got lost on the way.
    if not recent.filter(text=text, comparison=comparison).exists():
        if recent.count() >= NOTES_AN_HOUR:
            return judging.problem(_("That is many notes within an hour. Please wait a little."), 429)
        Note.objects.create(project=project, author=request.user, comparison=comparison, text=text)
    return JsonResponse({})


def _changeable(request: PersonRequest, project: Project) -> QuerySet[Ranking]:
    """The judgments that this person gave here and may take back, the latest first."""
    mine = Ranking.objects.live().filter(annotator=request.user, comparison__project=project)
    return mine.filter(is_adjudication=False).order_by("-pk")
