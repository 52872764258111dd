"""What annotators tell the managers from the ranking page."""

from __future__ import annotations

from django.contrib.auth.decorators import login_required
from django.core.paginator import Paginator
from django.db.models import F
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone
from django.views.decorators.http import require_POST, require_safe

from annotator.access import MANAGERS, project_for
from annotator.requests import PersonRequest

PER_PAGE = 25


@require_safe
@login_required
def notes(request: PersonRequest, slug: str) -> HttpResponse:
    project = project_for(request.user, slug, *MANAGERS)
    rows = project.notes.select_related("author", "done_by")
    rows = rows.order_by(F("done_at").desc(nulls_first=True), "-pk")  # what waits stands first
    context = {
        "project": project,
        "page": Paginator(rows, PER_PAGE).get_page(request.GET.get("page")),
        "open_count": rows.filter(done_at=None).count(),
    }
    return render(request, "annotator/notes.html", context)


@require_POST
@login_required
def note_done(request: PersonRequest, slug: str, note_id: int) -> HttpResponse:
    """Mark a note as done, or open it again (`open`)."""
    project = project_for(request.user, slug, *MANAGERS)
    note = get_object_or_404(project.notes, pk=note_id)
    opens = "open" in request.POST
    note.done_at = None if opens else timezone.now()
    note.done_by = None if opens else request.user
    note.save(update_fields=["done_at", "done_by"])
    return redirect("notes", project.slug)
