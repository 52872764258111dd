"""What a manager does with a comparison: decide it, withdraw the decision, make it a gold question."""

from __future__ import annotations

from uuid import uuid4

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST, require_safe

from annotator.access import MANAGERS, STAFF, has_role, project_for
from annotator.models import Comparison, GoldAnswer
from annotator.order_forms import DecisionForm, GoldForm
from annotator.quality import gold as gold_questions
from annotator.ranking.adjudication import adjudicate, withdraw
from annotator.ranking.disagreement import disagreements
from annotator.ranking.submit import SubmitError
from annotator.requests import PersonRequest


@require_POST
@login_required
def comparison_adjudicate(request: PersonRequest, slug: str, comparison_id: int) -> HttpResponse:
    """Store the decision, and go on to the next comparison that people disagree about."""
    project = project_for(request.user, slug, *MANAGERS)
    row = get_object_or_404(project.comparisons, pk=comparison_id)
    form = DecisionForm(request.POST, shown=shown(row))
    if not form.is_valid():
        messages.error(request, _("The decision is not complete, so it was not stored."))
        return redirect("comparison", project.slug, row.pk)
    try:
        adjudicate(
            comparison=row,
            manager=request.user,
            judgment=form.judgment,
            idempotency_key=form.cleaned_data["key"],
        )
    except SubmitError as error:
        messages.error(request, str(error))
        return redirect("comparison", project.slug, row.pk)
    left = disagreements(project)
    if left:
        messages.success(request, _("Decided. This is the next disagreement."))
        return redirect("comparison", project.slug, left[0].comparison_id)
    messages.success(request, _("Decided. There is no other disagreement."))
    return redirect("comparison", project.slug, row.pk)


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
    form = GoldForm(request.POST, shown=shown(row))
    try:
        if not form.is_valid():
            raise gold_questions.GoldError(_("The answer is not complete, so it was not stored."))
        gold_questions.make(
            row,
            verdict=form.cleaned_data["verdict"],
            ranks=form.ranks,
            explanation=form.cleaned_data["explanation"],
            by=request.user,
        )
    except gold_questions.GoldError as error:
        messages.error(request, str(error))
        return redirect("comparison", project.slug, row.pk)
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
    if "back" in request.POST:
        Comparison.objects.filter(pk=answer.comparison_id).update(is_closed=False)
        messages.success(request, _("The question is asked again."))
    else:
        gold_questions.retire(answer)
        messages.success(request, _("The question is asked no more. Its answers stay."))
    return redirect("gold", project.slug)


def shown(comparison: Comparison) -> list[int]:
    """The instructions' ids in the order of the page."""
    return list(comparison.slots.order_by("position").values_list("completion", flat=True))
