"""Taking data out: choosing what, with a live count; the saved exports; small ones at once."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.contrib.auth.decorators import login_required
from django.core.paginator import Paginator
from django.http import Http404, HttpResponse, StreamingHttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from annotator import consent, events
from annotator.access import STAFF, project_for
from annotator.export_form import ExportForm
from annotator.exports import counting, export, jobs, summary, words
from annotator.exports.formats import FORMATS
from annotator.exports.recipe import Recipe
from annotator.models import Export, Project, Ranking
from annotator.requests import PersonRequest

PER_PAGE = 10
TYPES = {"jsonl": "application/jsonl", "json": "application/json", "csv": "text/csv; charset=utf-8"}


@require_http_methods(["GET", "HEAD", "POST"])
@login_required
def exports(request: PersonRequest, slug: str) -> HttpResponse:
    """The page; for htmx what the chosen filters take. A POST makes a saved export."""
    project = project_for(request.user, slug, *STAFF)
    chosen = request.POST if request.method == "POST" else request.GET if "format" in request.GET else None
    form = ExportForm(chosen, project=project)
    if request.htmx and request.method == "GET":
        return render(request, "annotator/_export_count.html", _counted(project, form))
    if request.method == "POST" and form.is_valid():
        made = jobs.create(
            project=project, recipe=form.recipe(), user=request.user, name=form.cleaned_data["name"]
        )
        return redirect(made)
    return exports_page(request, project, form)


def exports_page(request: PersonRequest, project: Project, form: ExportForm) -> HttpResponse:
    """The page with the form as it was filled in."""
    saved = project.exports.select_related("created_by", "project")
    page = Paginator(saved, PER_PAGE).get_page(request.GET.get("page"))
    recall = consent.Recall.of(project)
    context = {
        "project": project,
        "form": form,
        "layers": [
            (layer, [(name, words.of(name)) for name, one in FORMATS.items() if one.layer == layer])
            for layer in ("derived", "raw")
        ],
        "has_judgments": Ranking.objects.filter(comparison__project=project).exists(),
        "page": page,
        "rows": [(one, is_recalled(one, recall), words.label(one.format)) for one in page],
        "is_active": any(one.is_active for one in page),
        "keep_days": settings.EXPORT_KEEP_DAYS,
        **_counted(project, form),
    }
    status = 400 if request.method == "POST" and form.errors else 200
    return render(request, "annotator/exports.html", context, status=status)


@require_POST
@login_required
def export_stream(request: PersonRequest, slug: str) -> HttpResponseBase:
    """What is chosen as one plain file, at once and not kept; where that is too much, the page says so."""
    project = project_for(request.user, slug, *STAFF)
    form = ExportForm(request.POST, project=project)
    if not form.is_valid():
        return exports_page(request, project, form)
    recipe = form.recipe()
    if recipe.gzip or recipe.file_type not in TYPES:
        form.add_error("file", _("Only plain JSON or CSV is sent at once. Make a saved export of it."))
    elif counting.matching(project, recipe.selection).count() > settings.EXPORT_STREAM_JUDGMENTS:
        most = {"most": settings.EXPORT_STREAM_JUDGMENTS}
        form.add_error(
            None, _("Only up to %(most)d judgments are sent at once. Make a saved export of it.") % most
        )
    if form.errors:
        return exports_page(request, project, form)
    return streamed(request, project, recipe)


@require_safe
@login_required
def export_download(request: PersonRequest, slug: str, format_name: str) -> HttpResponseBase:
    """Everything in one format, for scripts and old links."""
    project = project_for(request.user, slug, *STAFF)
    if format_name not in FORMATS:
        raise Http404(_("There is no such format."))
    return streamed(request, project, Recipe(format_name))


def streamed(request: PersonRequest, project: Project, recipe: Recipe) -> StreamingHttpResponse:
    name = f"{project.slug}-{recipe.format}.{recipe.file_type}"
    events.record(project, request.user, "exported", name)
    blocks = export.stream(project, recipe)
    return StreamingHttpResponse(
        blocks,
        content_type=TYPES[recipe.file_type],
        headers={"Content-Disposition": f'attachment; filename="{name}"'},
    )


def is_recalled(saved: Export, recall: consent.Recall) -> bool:
    """Whether its files may hold what was withdrawn after they were made."""
    last = saved.frozen.get("last_ranking", 0)
    return saved.state == Export.State.DONE and recall.concerns(made_at=saved.consent_at, last_ranking=last)


def _counted(project: Project, form: ExportForm) -> dict[str, Any]:
    """What the form takes now, with an example of its lines; of a form that is not right, only that."""
    if not form.is_bound:
        initial = {name: field.initial for name, field in form.fields.items() if field.initial}
        form = ExportForm(initial, project=project)
    if not form.is_valid():
        return {"project": project, "problems": form.errors}
    recipe = form.recipe()
    found = counting.count(project, recipe)
    return {
        "project": project,
        "recipe": recipe,
        "words": words.of(recipe.format),
        "counted": found,
        "example": summary.example_line(found.example),
        "may_stream": found.judgments <= settings.EXPORT_STREAM_JUDGMENTS,
    }
