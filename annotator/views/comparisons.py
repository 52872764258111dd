"""The comparisons of a project: the list with its filters, and each one's page."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.core.paginator import Page, Paginator
from django.db.models import F, QuerySet
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST, require_safe

from annotator import audit
from annotator.access import MANAGERS, STAFF, project_for
from annotator.models import Comparison
from annotator.ranking.disagreement import NEWEST, Disagreement, disagreements
from annotator.requests import PersonRequest
from annotator.views import comparison_page

PER_PAGE = 25


@require_safe
@login_required
def comparisons(request: PersonRequest, slug: str) -> HttpResponse:
    project = project_for(request.user, slug, *STAFF)
    rows = project.comparisons.select_related("prompt")
    state = request.GET.get("state", "")
    found: QuerySet[Comparison] | Sequence[Disagreement]
    if state == "disagreement":
        found = disagreements(project)
    else:
        found = _filtered(rows, state, request.GET.get("q", "").strip())
    page = Paginator(found, PER_PAGE).get_page(request.GET.get("page"))
    if state == "disagreement":
        _with_comparisons(page, rows)
    context = {
        "project": project,
        "page": page,
        "newest": NEWEST,
        "total": rows.count(),
        "query": request.GET,
    }
    return render(request, "annotator/comparisons.html", context)


@require_safe
@login_required
def comparison(request: PersonRequest, slug: str, comparison_id: int) -> HttpResponse:
    """The texts that were compared, and every judgment of them, undone ones too."""
    project = project_for(request.user, slug, *STAFF)
    row = get_object_or_404(project.comparisons.select_related("prompt"), pk=comparison_id)
    return comparison_page.render_page(request, project, row)


@require_POST
@login_required
def comparison_close(request: PersonRequest, slug: str, comparison_id: int) -> HttpResponse:
    """Take the comparison out of the queue, or put it back (`open`)."""
    project = project_for(request.user, slug, *MANAGERS)
    row = get_object_or_404(project.comparisons, pk=comparison_id)
    closes = "open" not in request.POST
    Comparison.objects.filter(pk=row.pk).update(is_closed=closes)
    audit.record("closed" if closes else "reopened", project=project, target=row)
    messages.success(request, _("Taken out of the queue.") if closes else _("Back in the queue."))
    return redirect("comparison", project.slug, row.pk)


def _filtered(rows: QuerySet[Comparison], state: str, text: str) -> QuerySet[Comparison]:
    if state == "open":
        rows = rows & Comparison.objects.open()
    elif state == "done":
        rows = rows.filter(judgments_taken=F("judgments_wanted"))
    elif state == "closed":
        rows = rows.filter(is_closed=True)
    elif state == "adjudicated":
        rows = rows.filter(is_adjudicated=True)
    elif state in (Comparison.Rule.GOLD, Comparison.Rule.REPEAT):
        rows = rows.filter(rule=state)
    return rows.filter(prompt__text__icontains=text) if text else rows


def _with_comparisons(page: Page[Any], rows: QuerySet[Comparison]) -> None:
    """Put the comparisons in place of what is known of them, with their `contradiction`."""
    by_id = rows.in_bulk([row.comparison_id for row in page.object_list])
    found = []
    for known in page.object_list:
        if known.comparison_id in by_id:
            row = by_id[known.comparison_id]
            row.contradiction = known.share  # type: ignore[attr-defined]
            found.append(row)
    page.object_list = found
