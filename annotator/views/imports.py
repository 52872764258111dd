"""Bringing tasks in: the form, the imports so far, and one import while it runs."""

from __future__ import annotations

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.core.paginator import Paginator
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from annotator.access import MANAGERS, project_for
from annotator.forms import ImportForm
from annotator.models import PromptImport
from annotator.prompts import importing
from annotator.prompts.reading import ImportProblem
from annotator.requests import PersonRequest

PER_PAGE = 10
State = PromptImport.State


@require_http_methods(["GET", "HEAD", "POST"])
@login_required
def import_(request: PersonRequest, slug: str) -> HttpResponse:
    project = project_for(request.user, slug, *MANAGERS)
    form = ImportForm(request.POST or None, request.FILES or None)
    if request.method == "POST" and form.is_valid():
        file = form.cleaned_data["file"]
        try:
            batch = importing.create_import(
                project=project,
                name=file.name,
                file=file,
                user=request.user,
                default_domain=form.cleaned_data["default_domain"],
            )
        except ImportProblem as problem:
            form.add_error("file", str(problem))
        else:
            return redirect("import-detail", project.slug, batch.pk)
    imports = project.imports.select_related("created_by")
    context = {
        "project": project,
        "form": form,
        "page": Paginator(imports, PER_PAGE).get_page(request.GET.get("page")),
    }
    return render(request, "annotator/import.html", context, status=400 if form.errors else 200)


@require_safe
@login_required
def import_detail(request: PersonRequest, slug: str, import_id: int) -> HttpResponse:
    """One import; for htmx the part that changes."""
    project = project_for(request.user, slug, *MANAGERS)
    batch = get_object_or_404(project.imports.select_related("created_by"), pk=import_id)
    context = {
        "project": project,
        "batch": batch,
        "is_active": batch.state in (State.QUEUED, State.RUNNING),
    }
    template = "annotator/_import.html" if request.htmx else "annotator/import_detail.html"
    return render(request, template, context)


@require_POST
@login_required
def import_cancel(request: PersonRequest, slug: str, import_id: int) -> HttpResponse:
    project = project_for(request.user, slug, *MANAGERS)
    batch = get_object_or_404(project.imports, pk=import_id)
    if importing.cancel_import(batch):
        messages.success(request, _("Cancelled. Nothing of the file was stored."))
    else:
        messages.warning(request, _("This import had ended before it could be cancelled."))
    return redirect("import-detail", project.slug, batch.pk)
