"""What an inspected import says of its file, to take away: the report, its pictures, the rejected lines."""

from __future__ import annotations

from itertools import islice

from django.contrib.auth.decorators import login_required
from django.http import FileResponse, Http404, HttpResponse, HttpResponseBase, JsonResponse
from django.shortcuts import get_object_or_404, render
from django.utils.text import slugify
from django.utils.translation import gettext as _
from django.views.decorators.http import require_safe

from annotator.access import MANAGERS, project_for
from annotator.models import PromptImport
from annotator.prompts import images, kept
from annotator.requests import PersonRequest
from annotator.views import import_preview


@require_safe
@login_required
def import_report(request: PersonRequest, slug: str, import_id: int) -> HttpResponse:
    """The report, and what the import brought, as JSON."""
    batch = _inspected(request, slug, import_id)
    found = {
        "file": batch.name,
        "sha256": batch.sha256,
        "state": batch.state,
        "format": batch.format,
        "encoding": batch.encoding,
        "options": batch.options,
        "report": batch.report,
        "counts": batch.counts,
    }
    return JsonResponse(found, json_dumps_params={"ensure_ascii": False, "indent": 2})


@require_safe
@login_required
def import_picture(request: PersonRequest, slug: str, import_id: int) -> HttpResponse:
    """Lengths, languages and domains as one SVG file."""
    batch = _inspected(request, slug, import_id)
    drawn = import_preview.drawn(batch)
    if not drawn:
        raise Http404(_("There is nothing to draw."))
    height = drawn[-1][1] + drawn[-1][0].height + 90
    context = {"batch": batch, "drawn": drawn, "height": height}
    response = render(request, "annotator/import_picture.svg", context, content_type="image/svg+xml")
    response["Content-Disposition"] = f'attachment; filename="{_stem(batch)}.svg"'
    return response


@require_safe
@login_required
def import_rejects(request: PersonRequest, slug: str, import_id: int) -> HttpResponseBase:
    """The lines that brought nothing, as JSON Lines: line, field, why, how it began, by which step."""
    batch = _inspected(request, slug, import_id)
    path = kept.path_of(str(batch.rejects.name))
    if not batch.rejects or not path.is_file():
        raise Http404(_("No line was rejected."))
    return FileResponse(
        path.open("rb"),
        as_attachment=True,
        filename=f"{_stem(batch)}-rejects.jsonl",
        content_type="application/jsonl",
    )


@require_safe
@login_required
def import_image(request: PersonRequest, slug: str, import_id: int, number: int) -> HttpResponseBase:
    """The picture of one of the first prepared tasks."""
    batch = _inspected(request, slug, import_id)
    if batch.state != PromptImport.State.READY or not batch.records:
        raise Http404
    try:
        record = next(islice(kept.records_of(batch), max(0, number - 1), None), None)
    except FileNotFoundError:  # cancelled or inspected anew since the row was read
        raise Http404 from None
    path = kept.path_of(record.image) if record is not None and record.image else None
    if path is None or not path.is_file():
        raise Http404
    response = FileResponse(path.open("rb"), content_type=images.TYPES[path.suffix[1:]])
    response["X-Content-Type-Options"] = "nosniff"
    response["Cache-Control"] = "private, no-cache"
    return response


def _inspected(request: PersonRequest, slug: str, import_id: int) -> PromptImport:
    project = project_for(request.user, slug, *MANAGERS)
    return get_object_or_404(project.imports.exclude(report={}), pk=import_id)


def _stem(batch: PromptImport) -> str:
    """A name that no header and no file system stumbles over."""
    return slugify(batch.name.rpartition(".")[0] or batch.name)[:60] or f"import-{batch.pk}"
