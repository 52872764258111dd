"""What a manager does with a comparison: decide it, withdraw the decision, make it a gold question."""

from __future__ import annotations

from uuid import uuid4

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST, require_safe

from annotator import audit
from annotator.access import MANAGERS, STAFF, has_role, project_for
from annotator.models import Comparison, GoldAnswer, Project
from annotator.order_forms import DecisionForm, GoldForm
from annotator.quality import gold as gold_questions
from annotator.ranking import disagreement
from annotator.ranking.adjudication import adjudicate, refusal, withdraw
from annotator.ranking.judgments import SubmitError
from annotator.requests import PersonRequest
from annotator.views.comparison_page import render_page, shown_in


@require_POST
@login_required
def comparison_adjudicate(request: PersonRequest, slug: str, comparison_id: int) -> HttpResponse:
    """Store the decision, and go on to the next comparison that people disagree about."""
    project = project_for(request.user, slug, *MANAGERS)
    row = get_object_or_404(project.comparisons.select_related("prompt"), pk=comparison_id)
    form = DecisionForm(request.POST, project=project, shown=shown_in(row), auto_id="decision_%s")
    if form.is_valid():
        try:
            adjudicate(
                comparison=row,
                manager=request.user,
                judgment=form.judgment,
                idempotency_key=form.cleaned_data["key"],
            )
            return _onwards(request, project, row, decided=True)
        except SubmitError as error:
            form.add_error(None, str(error))
            row.refresh_from_db()
    if reason := refusal(row, request.user):
        messages.error(request, reason)
        return redirect("comparison", project.slug, row.pk)
    return render_page(request, project, row, decision_form=form)


@require_safe
@login_required
def disagreement_next(request: PersonRequest, slug: str, comparison_id: int) -> HttpResponse:
    """Leave this one as it is, and go on to the next comparison that people disagree about."""
    project = project_for(request.user, slug, *STAFF)
    row = get_object_or_404(project.comparisons, pk=comparison_id)
    return _onwards(request, project, row)


@require_POST
@login_required
def comparison_withdraw(request: PersonRequest, slug: str, comparison_id: int) -> HttpResponse:
    project = project_for(request.user, slug, *MANAGERS)
    row = get_object_or_404(project.comparisons, pk=comparison_id)
    try:
        withdraw(comparison=row, manager=request.user, idempotency_key=request.POST.get("key") or uuid4().hex)
        messages.success(request, _("Decision withdrawn. The annotators' judgments count again."))
    except SubmitError as error:
        messages.error(request, str(error))
    return redirect("comparison", project.slug, row.pk)


@require_POST
@login_required
def comparison_gold(request: PersonRequest, slug: str, comparison_id: int) -> HttpResponse:
    """Make a gold question of the comparison's instructions."""
    project = project_for(request.user, slug, *MANAGERS)
    row = get_object_or_404(project.comparisons.select_related("prompt"), pk=comparison_id)
    if not row.is_queued:
        messages.error(request, _("A gold question is made of a comparison that annotators judge."))
        return redirect("comparison", project.slug, row.pk)
    form = GoldForm(request.POST, project=project, shown=shown_in(row), auto_id="gold_%s")
    if not form.is_valid():
        return render_page(request, project, row, gold_form=form)
    try:
        gold_questions.make(
            row,
            verdict=form.verdict,
            ranks=form.ranks,
            explanation=form.cleaned_data["explanation"],
            by=request.user,
        )
    except gold_questions.GoldError as error:
        form.add_error(None, str(error))
        return render_page(request, project, row, gold_form=form)
    audit.record("made a gold question of", project=project, target=row)
    messages.success(request, _("Made a gold question. It is asked from now on."))
    return redirect("gold", project.slug)


@require_safe
@login_required
def gold(request: PersonRequest, slug: str) -> HttpResponse:
    project = project_for(request.user, slug, *STAFF)
    context = {
        "project": project,
        "questions": gold_questions.summary(project),
        "manages": has_role(request.user, project, *MANAGERS),
    }
    return render(request, "annotator/gold.html", context)


@require_POST
@login_required
def gold_retire(request: PersonRequest, slug: str, comparison_id: int) -> HttpResponse:
    """Ask a gold question no more, or again (`back`)."""
    project = project_for(request.user, slug, *MANAGERS)
    answers = GoldAnswer.objects.filter(comparison__project=project).select_related("comparison")
    answer = get_object_or_404(answers, comparison=comparison_id)
    back = "back" in request.POST
    audit.record("asks again" if back else "asks no more", project=project, target=answer.comparison)
    if back:
        gold_questions.bring_back(answer)
        messages.success(request, _("The question is asked again."))
    else:
        gold_questions.retire(answer)
        messages.success(request, _("The question is asked no more. Its answers stay."))
    return redirect("gold", project.slug)


def _onwards(
    request: PersonRequest, project: Project, comparison: Comparison, *, decided: bool = False
) -> HttpResponse:
    following = disagreement.following(project, comparison)
    if decided:
        messages.success(
            request,
            _("Decided. This is the next disagreement.")
            if following
            else _("Decided. There is no other disagreement."),
        )
    elif not following:
        messages.success(request, _("There is no other disagreement."))
    return redirect("comparison", project.slug, following.comparison_id if following else comparison.pk)
