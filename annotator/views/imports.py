"""Bringing tasks in: the form, the imports so far, and what can be done with one of them."""

from __future__ import annotations

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.core.paginator import Paginator
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from annotator.access import MANAGERS, project_for
from annotator.import_forms import FormatForm, ImportForm, StepsForm
from annotator.models import PromptImport
from annotator.prompts import importing, inspecting, undoing
from annotator.prompts.reading import ImportProblem
from annotator.requests import PersonRequest
from annotator.views import import_preview

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
                options=form.options,
                answers=form.are_answers_ranked,
            )
        except ImportProblem as problem:
            form.add_error("file", str(problem))
        else:
            return redirect("import-detail", project.slug, batch.pk)
    imports = project.imports.select_related("created_by").defer("report", "options")
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
    return _page(request, _batch(request, slug, import_id))


@require_POST
@login_required
def import_inspect(request: PersonRequest, slug: str, import_id: int) -> HttpResponse:
    """Inspect the file anew, with other steps."""
    batch = _batch(request, slug, import_id)
    form = StepsForm(request.POST, batch=batch)
    if not form.is_valid():
        return _page(request, batch, form, status=400)
    inspected = importing.inspect_again(
        batch,
        options=form.options,
        answers=form.are_answers_ranked,
        default_domain=form.cleaned_data["default_domain"],
        family=batch.forced_format,
    )
    return _back(request, batch, inspected)


@require_POST
@login_required
def import_format(request: PersonRequest, slug: str, import_id: int) -> HttpResponse:
    """Inspect the file anew, as another format than was recognised."""
    batch = _batch(request, slug, import_id)
    form = FormatForm(request.POST)
    if not form.is_valid():
        return _page(request, batch, status=400)
    options, answers = inspecting.options_of(batch)
    family = form.cleaned_data["family"]
    return _back(
        request, batch, importing.inspect_again(batch, options=options, answers=answers, family=family)
    )


@require_POST
@login_required
def import_start(request: PersonRequest, slug: str, import_id: int) -> HttpResponse:
    """Store what the preview shows."""
    batch = _batch(request, slug, import_id)
    return _back(request, batch, importing.start_import(batch))


@require_POST
@login_required
def import_cancel(request: PersonRequest, slug: str, import_id: int) -> HttpResponse:
    batch = _batch(request, slug, import_id)
    if importing.cancel_import(batch):
        messages.success(request, _("Cancelled. Nothing of the file was stored."))
    else:
        messages.warning(request, _("This import had ended before it could be cancelled."))
    return redirect("import-detail", slug, batch.pk)


@require_http_methods(["GET", "HEAD", "POST"])
@login_required
def import_undo(request: PersonRequest, slug: str, import_id: int) -> HttpResponse:
    """Say what would go, and what stands in the way; by POST take it out."""
    batch = _batch(request, slug, import_id)
    if request.method == "POST":
        try:
            brought = undoing.undo(batch, request.user, keep_used=request.POST.get("keep") == "1")
        except undoing.NotDone:
            messages.warning(request, _("There is nothing of this import to take out."))
            return redirect("import-detail", slug, batch.pk)
        except undoing.InUse as problem:
            return _undo_page(request, batch, problem.brought, status=409)
        if brought.used:
            messages.success(request, _("The import is undone, but for what people have worked with."))
        else:
            messages.success(request, _("The import is undone. All that it brought is gone."))
        return redirect("import-detail", slug, batch.pk)
    if batch.state != State.DONE:
        return redirect("import-detail", slug, batch.pk)
    return _undo_page(request, batch, undoing.brought_by(batch))


def _batch(request: PersonRequest, slug: str, import_id: int) -> PromptImport:
    project = project_for(request.user, slug, *MANAGERS)
    found = get_object_or_404(project.imports.select_related("created_by"), pk=import_id)
    found.project = project
    return found


def _page(
    request: PersonRequest, batch: PromptImport, form: StepsForm | None = None, status: int = 200
) -> HttpResponse:
    context = {"project": batch.project, "batch": batch, **import_preview.context(batch, form)}
    template = "annotator/_import.html" if request.htmx else "annotator/import_detail.html"
    return render(request, template, context, status=status)


def _undo_page(
    request: PersonRequest, batch: PromptImport, brought: undoing.Brought, status: int = 200
) -> HttpResponse:
    context = {"project": batch.project, "batch": batch, "brought": brought}
    return render(request, "annotator/import_undo.html", context, status=status)


def _back(request: PersonRequest, batch: PromptImport, changed: bool) -> HttpResponse:
    if not changed:
        messages.warning(request, _("This import has changed meanwhile. Here is where it stands."))
    return redirect("import-detail", batch.project.slug, batch.pk)
