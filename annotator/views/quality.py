"""How good the judgments are: agreement, pace and a row for each annotator, from the stored report."""

from __future__ import annotations

import json
from datetime import date
from typing import Any

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.core.paginator import Paginator
from django.db import transaction
from django.db.models import Count
from django.http import Http404, HttpResponse, HttpResponseBadRequest
from django.shortcuts import redirect, render
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST, require_safe

from annotator.access import MANAGERS, STAFF, has_role, project_for
from annotator.models import Project, QualityReport, Ranking
from annotator.plots import as_json
from annotator.quality import progress, reports, tables
from annotator.quality.forecast import Forecast, forecast
from annotator.requests import PersonRequest
from annotator.views.files import csv_file

PER_PAGE = 50
PATIENCE = 60
"""Polls, two seconds apart, before the page stops waiting for a worker."""


@require_safe
@login_required
def quality(request: PersonRequest, slug: str) -> HttpResponse:
    """Agreement, throughput, time per judgment and the forecast."""
    project = project_for(request.user, slug, *STAFF)
    context = _frame(request, project)
    report = context["report"]
    if report:
        counts = progress.of_project(project)
        figures = report.figures
        context |= {
            "counts": counts,
            "agreement": figures["agreement"],
            "median": figures["median_seconds"],
            "slices": tables.slices(figures),
            "plots": as_json(tables.plots()),
            "points": json.dumps(tables.points(figures, timezone.localdate())),
            "forecast": _forecast(figures, counts.remaining),
        }
    return render(request, "annotator/quality.html", context)


@require_safe
@login_required
def quality_annotators(request: PersonRequest, slug: str) -> HttpResponse:
    """A row for everybody who has judged."""
    project = project_for(request.user, slug, *STAFF)
    context = _frame(request, project)
    if context["report"]:
        rows = tables.annotators(project, context["report"], _today(project), request.user)
        if by_reliability := request.GET.get("sort") == "reliability":
            rows.sort(key=lambda row: (row.figures.get("reliability") or {}).get("value", 2))
        context["by_reliability"] = by_reliability
        context["manages"] = has_role(request.user, project, *MANAGERS)
        context["page"] = Paginator(rows, PER_PAGE).get_page(request.GET.get("page"))
    return render(request, "annotator/quality_annotators.html", context)


@require_POST
@login_required
def quality_refresh(request: PersonRequest, slug: str) -> HttpResponse:
    """Ask for a new report."""
    project = project_for(request.user, slug, *STAFF)
    before = QualityReport.objects.filter(project=project).first()
    _ask(request, project, before)
    return redirect("quality", slug)


@require_safe
@login_required
def quality_state(request: PersonRequest, slug: str) -> HttpResponse:
    """For the page that waits: reload as soon as there is a report newer than the one it knows."""
    project = project_for(request.user, slug, *STAFF)
    known = request.GET.get("known", "")
    try:
        polls = int(request.GET.get("polls", "0")) + 1
    except ValueError:
        return HttpResponseBadRequest()
    report = QualityReport.objects.defer("figures").filter(project=project).first()
    response = render(request, "annotator/_quality_state.html", _waiting(project, known, polls))
    if report and report.computed_at.isoformat() != known:
        response["HX-Refresh"] = "true"
    return response


@require_safe
@login_required
def quality_csv(request: PersonRequest, slug: str, table: str) -> HttpResponse:
    """One of the tables as a CSV file."""
    project = project_for(request.user, slug, *STAFF)
    report = QualityReport.objects.filter(project=project).first()
    if table not in ("agreement", "throughput", "times", "annotators"):
        raise Http404(_("There is no such table."))
    rows: Any = []
    if report and table == "annotators":
        rows = tables.annotators_table(tables.annotators(project, report, _today(project), request.user))
    elif report:
        rows = getattr(tables, f"{table}_table")(report.figures)
    return csv_file(rows, name=f"{project.slug}-{table}.csv")


def _frame(request: PersonRequest, project: Project) -> dict[str, Any]:
    """What both pages show: the report and its age, or that it is being computed."""
    report = QualityReport.objects.filter(project=project).first()
    context: dict[str, Any] = {"project": project, "report": report}
    if report is None:
        if not Ranking.objects.live().filter(comparison__project=project).exists():
            return context | {"is_empty": True}
        if _key(project) not in request.session:
            _ask(request, project, None)
            report = QualityReport.objects.filter(project=project).first()
            context["report"] = report
    known = report.computed_at.isoformat() if report else ""
    asked = request.session.get(_key(project))
    if asked is not None and asked == f"waiting {known}":
        context |= _waiting(project, known, 0)
    elif asked is not None:
        del request.session[_key(project)]
    return context


def _ask(request: PersonRequest, project: Project, before: QualityReport | None) -> None:
    """Send the task on commit; where the broker is down, a small project is computed at once."""
    sent: list[bool] = []
    transaction.on_commit(lambda: sent.append(reports.send(project.pk)))
    if sent and not sent[0]:
        if reports.is_small(project):
            reports.compute(project)
        else:
            messages.error(
                request, _("No worker can be reached. The figures will be computed when one is back.")
            )
        return
    request.session[_key(project)] = f"waiting {before.computed_at.isoformat() if before else ''}"


def _key(project: Project) -> str:
    return f"quality-{project.pk}"


def _waiting(project: Project, known: str, polls: int) -> dict[str, Any]:
    return {
        "project": project,
        "is_waiting": polls < PATIENCE,
        "has_given_up": polls >= PATIENCE,
        "known": known,
        "polls": polls,
    }


def _today(project: Project) -> dict[int, int]:
    given = (
        Ranking.objects.live()
        .given_here()
        .filter(comparison__project=project, created_at__gte=progress.start_of_day(), is_adjudication=False)
    )
    return dict(given.order_by().values_list("annotator").annotate(n=Count("pk")))


def _forecast(figures: dict[str, Any], remaining: int) -> Forecast:
    daily = {date.fromisoformat(day): n for day, n in figures["daily"].items()}
    hourly = {int(hour): n for hour, n in figures["hourly"].items()}
    return forecast(remaining, daily, hourly, timezone.localdate())
