"""Runs beside each other."""

from __future__ import annotations

from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpResponse, JsonResponse
from django.shortcuts import render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_safe

from annotator.access import STAFF, project_for
from annotator.plots import as_json
from annotator.requests import PersonRequest
from annotator.views.files import csv_file
from rlhf import comparing


@require_safe
@login_required
def compare(request: PersonRequest, slug: str) -> HttpResponse:
    """The runs of `?run=1&run=2`, and which there are; `?format=json`, or `csv` (`&table=figures`)."""
    project = project_for(request.user, slug, *STAFF)
    ids = request.GET.getlist("run")
    try:
        runs = comparing.chosen(project, ids)
    except comparing.NotTheirs:
        raise Http404(_("There is no such run.")) from None
    name = f"{slug}-runs-" + "-".join(str(run.pk) for run in runs)
    kind = request.GET.get("format", "")
    if kind == "json":
        response = JsonResponse(
            comparing.as_data(runs), json_dumps_params={"ensure_ascii": False, "indent": 2}
        )
        if "download" in request.GET:
            response["Content-Disposition"] = f'attachment; filename="{name}.json"'
        return response
    if kind == "csv":
        table = request.GET.get("table", "records")
        if table not in comparing.TABLES:
            raise Http404(_("There is no such table."))
        return csv_file(comparing.TABLES[table](runs), name=f"{name}-{table}.csv")
    settings = comparing.settings_of(runs)
    plots = as_json(comparing.plots_of(runs)) if len(runs) > 1 else []
    context = {
        "project": project,
        "runs": runs,
        "labels": [comparing.label_of(run) for run in runs],
        "enough": len(runs) > 1,
        "too_many": len(set(ids)) > comparing.MOST,
        "most": comparing.MOST,
        "plots": plots,
        "figures": comparing.figures_of(runs),
        "differing": [row for row in settings if row.differs and row.is_shared],
        "partial": [row for row in settings if not row.is_shared],
        "same": [row for row in settings if not row.differs],
        "offered": [(run, comparing.label_of(run), run in runs) for run in comparing.offered(project)],
        "query": "&".join(f"run={run.pk}" for run in runs),
    }
    return render(request, "rlhf/compare.html", context)
