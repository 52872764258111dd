"""The image of a task: shown to the project's members, changed and removed by its managers."""

from __future__ import annotations

from pathlib import PurePath

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import FileResponse, Http404, HttpResponse, HttpResponseBase
from django.shortcuts import get_object_or_404, redirect
from django.urls import reverse
from django.utils.cache import get_conditional_response
from django.utils.http import quote_etag
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST, require_safe

from annotator import events
from annotator.access import MANAGERS, project_for
from annotator.forms import ImageForm
from annotator.models import Prompt
from annotator.prompts import images
from annotator.requests import PersonRequest
from annotator.views.prompts import page_of


@require_safe
@login_required
def prompt_image(request: PersonRequest, slug: str, prompt_id: int) -> HttpResponseBase:
    """The image itself. Browsers keep it, and ask each time whether it is still the same."""
    project = project_for(request.user, slug)
    row = get_object_or_404(project.prompts.exclude(image=""), pk=prompt_id)
    name = PurePath(row.image.name or "")
    etag = quote_etag(name.stem)  # a new image has a new name
    response: HttpResponseBase | None = get_conditional_response(request, etag=etag)
    if response is None:
        try:
            file = row.image.open()
        except FileNotFoundError:
            raise Http404(_("The image's file is not there any more.")) from None
        content_type = images.TYPES[name.suffix[1:]]
        response = FileResponse(file, content_type=content_type, filename=f"task-{row.pk}{name.suffix}")
        response["X-Content-Type-Options"] = "nosniff"
    response["ETag"] = etag
    response["Cache-Control"] = "private, no-cache"
    return response


@require_POST
@login_required
def prompt_image_change(request: PersonRequest, slug: str, prompt_id: int) -> HttpResponse:
    """Store another image, or only what it shows in words."""
    project = project_for(request.user, slug, *MANAGERS)
    row = get_object_or_404(project.prompts.select_related("batch"), pk=prompt_id)
    form = ImageForm(request.POST, request.FILES, has_image=bool(row.image))
    if form.is_valid():
        try:
            images.put(row, text=form.cleaned_data["image_text"], file=form.cleaned_data["file"])
        except images.ImageProblem as problem:
            form.add_error(problem.field, str(problem))
        else:
            _record(request, row, "changed the image of")
            messages.success(request, _("The image is stored."))
            return redirect("prompt", project.slug, row.pk)
    wrong = next(name for name in form.fields if name in form.errors)
    form.fields[wrong].widget.attrs["autofocus"] = True  # the form is far down the page
    return page_of(request, row, form)


@require_POST
@login_required
def prompt_image_remove(request: PersonRequest, slug: str, prompt_id: int) -> HttpResponse:
    project = project_for(request.user, slug, *MANAGERS)
    row = get_object_or_404(project.prompts, pk=prompt_id)
    if images.remove(row):
        _record(request, row, "removed the image of")
        messages.success(request, _("The image is removed."))
    return redirect("prompt", project.slug, row.pk)


def _record(request: PersonRequest, prompt: Prompt, verb: str) -> None:
    url = reverse("prompt", args=[prompt.project.slug, prompt.pk])
    events.record(prompt.project, request.user, verb, str(prompt.pk), url)
