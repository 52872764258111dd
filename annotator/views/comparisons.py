"""The comparisons of a project: how far each is judged, and by whom how."""

from __future__ import annotations

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.core.paginator import Paginator
from django.db.models import F, QuerySet
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST, require_safe

from annotator.access import MANAGERS, STAFF, has_role, project_for
from annotator.models import Comparison
from annotator.requests import PersonRequest

PER_PAGE = 25
STATES = ("open", "done", "closed")


@require_safe
@login_required
def comparisons(request: PersonRequest, slug: str) -> HttpResponse:
    project = project_for(request.user, slug, *STAFF)
    rows = project.comparisons.select_related("prompt")
    found = _filtered(rows, request.GET.get("state", ""), request.GET.get("q", "").strip())
    context = {
        "project": project,
        "page": Paginator(found, PER_PAGE).get_page(request.GET.get("page")),
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
    slots = list(row.slots.select_related("completion"))
    context = {
        "project": project,
        "comparison": row,
        "slots": slots,
        "numbers": {slot.completion_id: number for number, slot in enumerate(slots, start=1)},
        "rankings": row.rankings.select_related("annotator").order_by("-pk"),
        "leases": row.assignments.filter(state="leased").count(),
        "manages": has_role(request.user, project, *MANAGERS),
    }
    return render(request, "annotator/comparison.html", context)


@require_POST
@login_required
def comparison_close(request: PersonRequest, slug: str, comparison_id: int) -> HttpResponse:
    """Take the comparison out of the queue, or put it back (`open`)."""
    project = project_for(request.user, slug, *MANAGERS)
    row = get_object_or_404(project.comparisons, pk=comparison_id)
    closes = "open" not in request.POST
    Comparison.objects.filter(pk=row.pk).update(is_closed=closes)
    messages.success(request, _("Taken out of the queue.") if closes else _("Back in the queue."))
    return redirect("comparison", project.slug, row.pk)


def _filtered(rows: QuerySet[Comparison], state: str, text: str) -> QuerySet[Comparison]:
    if state == "open":
        rows = rows & Comparison.objects.open()
    elif state == "done":
        rows = rows.filter(judgments_taken=F("judgments_wanted"))
    elif state == "closed":
        rows = rows.filter(is_closed=True)
    return rows.filter(prompt__text__icontains=text) if text else rows
