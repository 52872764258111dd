"""Taking the data out: what is in each export, and the download."""

from __future__ import annotations

from collections.abc import Iterable

from django.contrib.auth.decorators import login_required
from django.db.models import Count, Q
from django.http import Http404, HttpResponse, StreamingHttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import render
from django.views.decorators.http import require_safe

from annotator import events
from annotator.access import STAFF, project_for
from annotator.exports import writing
from annotator.models import Project, Ranking
from annotator.ranking.pairs import ordered_pairs
from annotator.requests import PersonRequest

MOST_COUNTED = 50_000
"""So many judgments are read to count the pairs on the page; more would make one wait."""


@require_safe
@login_required
def exports(request: PersonRequest, slug: str) -> HttpResponse:
    project = project_for(request.user, slug, *STAFF)
    counts = Ranking.objects.filter(comparison__project=project).aggregate(
        rows=Count("pk"),
        live=Count("pk", filter=Q(is_live=True)),
        simulated=Count("pk", filter=Q(is_live=True, is_simulated=True)),
        held_out=Count("pk", filter=Q(is_live=True, comparison__prompt__is_held_out=True)),
    )
    context = {"project": project, "counts": counts, "pairs": count_pairs(project, counts["live"])}
    return render(request, "annotator/exports.html", context)


@require_safe
@login_required
def export_download(request: PersonRequest, slug: str, format_name: str) -> HttpResponseBase:
    project = project_for(request.user, slug, *STAFF)
    try:
        blocks: Iterable[bytes] = writing.blocks(project, format=format_name)
    except writing.UnknownFormat as error:
        raise Http404(str(error)) from error
    name = f"{project.slug}-{format_name}.jsonl"
    events.record(project, request.user, "exported", name)
    return StreamingHttpResponse(
        blocks,
        content_type="application/jsonl",
        headers={"Content-Disposition": f'attachment; filename="{name}"'},
    )


def count_pairs(project: Project, live: int) -> int | None:
    """How many lines the pairs' export has; None where counting would take long."""
    if live > MOST_COUNTED:
        return None
    rows = Ranking.objects.live().filter(comparison__project=project)
    total = 0
    for verdict, ranks, order, improved in rows.values_list("verdict", "ranks", "order", "improved_text"):
        by_id = {int(key): rank for key, rank in ranks.items()}
        total += len(ordered_pairs(verdict, by_id, order, 0 if improved else None))
    return total
