"""Runs: the list, one run as it goes, its numbers, and what managers do with it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.core.paginator import Paginator
from django.http import (
    FileResponse,
    Http404,
    HttpResponse,
    HttpResponseBase,
    JsonResponse,
    StreamingHttpResponse,
)
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.translation import gettext as _
from django.utils.translation import ngettext
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from annotator.access import MANAGERS, STAFF, project_for
from annotator.models import Completion, Project, Prompt
from annotator.names import Names
from annotator.plots import as_json
from annotator.requests import PersonRequest
from annotator.views.files import csv_file
from rlhf import blind, estimates, gaming, plots, report_tables, run_data, run_log, run_samples, runs
from rlhf.forms import FORMS, AskForm
from rlhf.models import Checkpoint, Evaluation, Run
from rlhf.progress import progress_of, seconds_left, seconds_taken
from rlhf.promotion_page import gamed_sentence
from rlhf.reports import report_of
from rlhf.stage_configs import InvalidConfig
from rlhf.views.roles import manages

PAGE_SIZE = 50
NEWEST = 12
"""So many of the completions that a generation wrote last are shown."""


@require_safe
@login_required
def index(request: PersonRequest, slug: str) -> HttpResponse:
    """All runs, the newest first; `?kind=` shows one kind."""
    project = project_for(request.user, slug, *STAFF)
    kind = request.GET.get("kind", "")
    shown = project.runs.filter(kind=kind) if kind in Run.Kind.values else project.runs.all()
    page = Paginator(shown.select_related("created_by"), PAGE_SIZE).get_page(request.GET.get("page"))
    for run in page:
        run.project = project
    context = {
        "project": project,
        "page": page,
        "rows": [(run, progress_of(run), seconds_taken(run)) for run in page],
        "falls": gaming.falls_of(page),
        "kind": kind,
        "kinds": Run.Kind.choices,
        "manages": manages(request.user, project),
        "any_active": any(run.is_active for run in page),
    }
    template = "rlhf/_runs_table.html" if request.htmx else "rlhf/runs.html"
    return render(request, template, context)


@require_safe
@login_required
def run(request: PersonRequest, slug: str, run_id: int) -> HttpResponse:
    """One run. For htmx only what changes: its state with the texts, the samples of one step, the log."""
    project = project_for(request.user, slug, *STAFF)
    run = _run_of(project, run_id)
    context: dict[str, Any] = {"project": project, "run": run}
    if request.htmx.target == "run-samples":
        return render(request, "rlhf/_run_samples.html", context | run_samples.shown(run, request.GET.dict()))
    if request.htmx.target == "run-log":
        return render(request, "rlhf/_run_log.html", context | {"log": run_log.newest(run)})
    context |= _state(run) | _texts(run, request.GET.dict())
    context["manages"] = manages(request.user, project)
    if request.htmx:
        response = render(request, "rlhf/_run_live.html", context | {"live": True})
        if not run.is_active:  # what came of it is shown by the whole page
            response["HX-Refresh"] = "true"
        return response
    context |= {
        "plots": as_json(plots.plots_of(run)),
        "report": report_of(run, Names(project, request.user).by_pseudonym()),
        "log": run_log.newest(run),
        "promoted": runs.promoted_policy(project),
    }
    return render(request, "rlhf/run.html", context)


def _state(run: Run) -> dict[str, Any]:
    return {
        "progress": progress_of(run),
        "seconds_taken": seconds_taken(run),
        "seconds_left": seconds_left(run),
        "checkpoint": Checkpoint.objects.filter(run=run).first(),
        "gamed": gamed_sentence(asdict(fall)) if (fall := gaming.fall_of(run)) else "",
    }


def _texts(run: Run, query: dict[str, str]) -> dict[str, Any]:
    """The texts below the curves: a policy's of one step (the last, unless given), a generation's newest."""
    if run.kind == Run.Kind.GENERATION:
        return {"written": _written(run)}
    return run_samples.shown(run, query) if run.kind == Run.Kind.POLICY else {}


def _written(run: Run) -> list[tuple[Prompt, list[Completion]]]:
    """What a generation wrote last, by prompt."""
    newest = run.generations.select_related("completion__prompt").order_by("-pk")[:NEWEST]
    by_prompt: dict[Prompt, list[Completion]] = {}
    for generation in newest:
        by_prompt.setdefault(generation.completion.prompt, []).append(generation.completion)
    return list(by_prompt.items())


@require_safe
@login_required
def data(request: PersonRequest, slug: str, run_id: int) -> HttpResponseBase:
    """The run's numbers: JSON (after a step: `?after=12`; as a file: `?download`) or `?format=csv`."""
    run = _run_of(project_for(request.user, slug, *STAFF), run_id)
    name = f"{slug}-run-{run.pk}"
    if request.GET.get("format") == "csv":
        lines = StreamingHttpResponse(run_data.csv_lines(run), content_type="text/csv; charset=utf-8")
        lines["Content-Disposition"] = f'attachment; filename="{name}.csv"'
        return lines
    after = request.GET.get("after", "")
    records = run.records.filter(step__gt=int(after)) if after.isdecimal() else run.records.all()
    data: dict[str, Any] = {
        "run": run_data.run_json(run),
        "records": [run_data.record_json(record) for record in records],
    }
    if "download" not in request.GET:
        return JsonResponse(data)
    data |= run_data.results_json(run)
    response = JsonResponse(data, json_dumps_params={"ensure_ascii": False, "indent": 2})
    response["Content-Disposition"] = f'attachment; filename="{name}.json"'
    return response


@require_safe
@login_required
def log(request: PersonRequest, slug: str, run_id: int) -> HttpResponseBase:
    """The whole log of a run as a text file; empty where no worker has had it."""
    run = _run_of(project_for(request.user, slug, *STAFF), run_id)
    path = run_log.path_of(run)
    name = f"{slug}-run-{run.pk}-log.txt"
    if not path.is_file():
        response = HttpResponse(content_type="text/plain; charset=utf-8")
        response["Content-Disposition"] = f'attachment; filename="{name}"'
        return response
    return FileResponse(
        path.open("rb"), as_attachment=True, filename=name, content_type="text/plain; charset=utf-8"
    )


@require_safe
@login_required
def table(request: PersonRequest, slug: str, run_id: int, table: str) -> HttpResponse:
    """One of the tables of a reward model's report as a CSV file."""
    run = _run_of(project_for(request.user, slug, *STAFF), run_id)
    checkpoint = get_object_or_404(Checkpoint.objects.rewards().select_related("project"), run=run)
    if table not in report_tables.TABLES:
        raise Http404(_("There is no such table."))
    names = Names(checkpoint.project, request.user).by_pseudonym()
    rows = report_tables.table(table, checkpoint, names)
    return csv_file(rows, name=f"{slug}-run-{run.pk}-{table}.csv")


@require_http_methods(["GET", "HEAD", "POST"])
@login_required
def start(request: PersonRequest, slug: str, kind: str) -> HttpResponse:
    """The form that starts a run of a kind; a POST starts it, with the defaults for what is not given.

    `?algorithm=` chooses the fields. For htmx also how long it would take with the fields that are given.
    """
    project = project_for(request.user, slug, *MANAGERS)
    if kind not in FORMS:
        raise Http404(_("There is no such kind of run."))
    if request.htmx.target == "estimate":
        context = {"project": project, **_estimate(project, kind, request.GET)}
        return render(request, "rlhf/_estimate.html", context)
    posted = request.POST if request.method == "POST" else None
    form = FORMS[kind](posted, project=project, initial={"algorithm": request.GET.get("algorithm", "")})
    problem = ""
    if request.method == "POST" and form.is_valid():
        try:
            return redirect(form.start(request.user))
        except runs.CannotStart as error:
            problem = str(error)
    last = project.runs.filter(kind=kind, state=Run.State.DONE).first()
    context = {
        **_estimate(project, kind, posted or {"algorithm": request.GET.get("algorithm", "")}),
        "project": project,
        "kind": kind,
        "kind_label": Run.Kind(kind).label,
        "form": form,
        "problem": problem,
        "last": last,
        "last_seconds": seconds_taken(last) if last else None,
        "active": project.runs.active().filter(kind=kind).first(),
        "policy": runs.promoted_policy(project),
        "reward": runs.latest_reward(project),
    }
    refused = problem or form.errors
    return render(request, "rlhf/run_start.html", context, status=422 if refused else 200)


def _estimate(project: Project, kind: str, data: Mapping[str, Any]) -> dict[str, Any]:
    """How long a run with these fields would take, if they are to be understood."""
    form = FORMS[kind](data, project=project)
    try:
        planned = form.planned() if form.is_valid() else None
    except InvalidConfig:
        planned = None
    found = None if planned is None else estimates.estimate(project, kind, planned)
    return {"estimate": found, "understood": planned is not None}


@require_POST
@login_required
def cancel(request: PersonRequest, slug: str, run_id: int) -> HttpResponse:
    run = _run_of(project_for(request.user, slug, *MANAGERS), run_id)
    if not runs.cancel(run, user=request.user):
        messages.info(request, _("The run had ended already."))
    return redirect(run)


@require_POST
@login_required
def resume(request: PersonRequest, slug: str, run_id: int) -> HttpResponse:
    run = _run_of(project_for(request.user, slug, *MANAGERS), run_id)
    try:
        runs.resume(run, user=request.user)
    except runs.CannotStart as error:
        messages.error(request, str(error))
    return redirect(run)


@require_POST
@login_required
def ask(request: PersonRequest, slug: str, run_id: int) -> HttpResponse:
    """Put the texts of a finished evaluation before annotators, on `tasks` held-out tasks."""
    project = project_for(request.user, slug, *MANAGERS)
    evaluation = get_object_or_404(
        Evaluation.objects.select_related("run__project", "old", "new"), run=_run_of(project, run_id)
    )
    form = AskForm(request.POST)
    if not form.is_valid():
        messages.error(request, " ".join(map(str, form.errors["tasks"])))
        return redirect(evaluation.run)
    try:
        added = blind.ask(evaluation, tasks=form.cleaned_data["tasks"], user=request.user)
    except runs.CannotStart as error:
        messages.error(request, str(error))
    else:
        words = ngettext(
            "%(n)d comparison is in the annotators' queue.",
            "%(n)d comparisons are in the annotators' queue.",
            added,
        )
        messages.success(request, words % {"n": added})
    return redirect(evaluation.run)


def _run_of(project: Project, run_id: int) -> Run:
    found = project.runs.select_related("policy", "old_policy", "reward", "snapshot", "created_by")
    run = get_object_or_404(found, pk=run_id)
    run.project = project
    return run
