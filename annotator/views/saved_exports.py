"""One saved export: its page while it is made and after, its files, and making, cancelling, deleting it."""

from __future__ import annotations

import hashlib
from typing import Any

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST, require_safe

from annotator import consent
from annotator.access import MANAGERS, STAFF, has_role, project_for
from annotator.archives import Member, Tar
from annotator.downloads import OnDisk, send
from annotator.exports import citation, jobs, sameness, summary, words
from annotator.models import Export, Project, User
from annotator.requests import PersonRequest
from annotator.views.exports import is_recalled

TYPES = {
    ".jsonl": "application/jsonl",
    ".json": "application/json",
    ".csv": "text/csv; charset=utf-8",
    ".md": "text/markdown; charset=utf-8",
    ".gz": "application/gzip",
    ".parquet": "application/vnd.apache.parquet",
}
ALL = "all.tar"
WAITING_SECONDS = 15
"""After so long in the queue the page says that no worker has come."""


@require_safe
@login_required
def export(request: PersonRequest, slug: str, export_id: int) -> HttpResponse:
    """The page; for htmx the part that changes while it is made."""
    project = project_for(request.user, slug, *STAFF)
    found = _export_of(project, export_id)
    context = page_context(request, found)
    if request.htmx:
        response = render(request, "annotator/_export_live.html", context)
        if not found.is_active:  # the whole page shows what came of it
            response["HX-Refresh"] = "true"
        return response
    return render(request, "annotator/export.html", context)


def page_context(request: PersonRequest, found: Export) -> dict[str, Any]:
    context: dict[str, Any] = {
        "project": found.project,
        "export": found,
        "words": words.of(found.format),
        "chosen": summary.choices_in_words(found.recipe),
        "may_change": may_change(request.user, found),
        "is_recalled": is_recalled(found, consent.Recall.of(found.project)),
        "is_late": found.state == Export.State.QUEUED and found.seconds_waiting > WAITING_SECONDS,
    }
    if found.state == Export.State.DONE:
        address = request.build_absolute_uri(found.get_absolute_url())
        context |= {
            "same": sameness.beside_earlier(found),
            "all_name": ALL,
            "counts": summary.counts_in_words(found.manifest["counts"]),
            "withdrawn": found.manifest.get("withdrawn", {}),
            "data_files": [file for file in found.files if file.get("split")],
            "other_files": [file for file in found.files if not file.get("split")],
            "loading": words.loading(found),
            "citation": citation.in_words(found, address),
            "bibtex": citation.bibtex(found, address),
        }
    return context


@require_safe
@login_required
def export_file(request: PersonRequest, slug: str, export_id: int, name: str) -> HttpResponseBase:
    """One of the files, or a range of it. Who may is asked anew each time, also when a download goes on."""
    project = project_for(request.user, slug, *STAFF)
    return file_response(request, _export_of(project, export_id), name)


def file_response(request: Any, found: Export, name: str) -> HttpResponseBase:
    """The file as a download; 404 for what is no file of it, 410 for one that is handed out no more.

    The name `ALL` stands for all of them, as a tar archive.
    """
    known = found.file_named(name) if found.state == Export.State.DONE else None
    wanted = [known] if known else found.files if name == ALL and found.state == Export.State.DONE else []
    if not wanted:
        raise Http404(_("This export has no such file."))
    if is_recalled(found, consent.Recall.of(found.project)):
        return _gone(_("Judgments in it have been withdrawn since. Make it again: that leaves them out."))
    gone = _("The files of this export were deleted. Make it again: it has the same content.")
    if found.files_deleted_at is not None:
        return _gone(gone)
    try:
        whole = all((found.folder / one["name"]).stat().st_size == one["bytes"] for one in wanted)
    except FileNotFoundError:
        return _gone(gone)
    if not whole:
        return _gone(_("This file is damaged on the site's disk. Make the export again."))
    if known is None:
        return _all_files(request, found)
    path = found.folder / known["name"]
    return send(
        request,
        OnDisk(path),
        name=found.saved_as(known["name"]),
        sha256=known["sha256"],
        content_type=TYPES.get(path.suffix, "application/octet-stream"),
    )


def _all_files(request: Any, found: Export) -> HttpResponseBase:
    root = f"{found.project.slug}-{found.pk}"
    members = [
        Member(f"{root}/{one['name']}", found.folder / one["name"], one["bytes"]) for one in found.files
    ]
    listed = "".join(f"{one['sha256']}  {root}/{one['name']}\n" for one in found.files)
    return send(
        request,
        Tar(members, mtime=int(found.frozen_at.timestamp())),
        name=f"{root}.tar",
        sha256=hashlib.sha256(listed.encode()).hexdigest(),
        content_type="application/x-tar",
    )


@require_POST
@login_required
def export_repeat(request: PersonRequest, slug: str, export_id: int) -> HttpResponse:
    """Make it again from the same recipe, of the same point in time."""
    project = project_for(request.user, slug, *STAFF)
    return redirect(jobs.repeat(_export_of(project, export_id), request.user))


@require_POST
@login_required
def export_cancel(request: PersonRequest, slug: str, export_id: int) -> HttpResponse:
    project = project_for(request.user, slug, *STAFF)
    found = _changeable(request.user, project, export_id)
    if jobs.cancel(found):
        messages.success(request, _("Cancelled. No file of it was stored."))
    else:
        messages.warning(request, _("This export had ended before it could be cancelled."))
    return redirect(found)


@require_POST
@login_required
def export_delete(request: PersonRequest, slug: str, export_id: int) -> HttpResponse:
    project = project_for(request.user, slug, *STAFF)
    found = _changeable(request.user, project, export_id)
    jobs.delete(found, request.user)
    messages.success(request, _("“%(name)s” and its files are deleted.") % {"name": found.name})
    return redirect("exports", project.slug)


def may_change(user: User, found: Export) -> bool:
    """Managers cancel and delete every export, researchers their own."""
    return found.created_by_id == user.pk or has_role(user, found.project, *MANAGERS)


def _changeable(user: User, project: Project, export_id: int) -> Export:
    found = _export_of(project, export_id)
    if not may_change(user, found):
        raise PermissionDenied(_("Only who made this export, or a manager, may do this."))
    return found


def _export_of(project: Project, export_id: int) -> Export:
    found = get_object_or_404(project.exports.select_related("created_by", "repeats"), pk=export_id)
    found.project = project
    return found


def _gone(words_for_it: str) -> HttpResponse:
    return HttpResponse(words_for_it, status=410, content_type="text/plain; charset=utf-8")
