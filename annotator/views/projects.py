"""Founding a project, its settings, and its guidelines."""

from __future__ import annotations

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods, require_safe

from annotator import audit, events
from annotator.access import MANAGERS, has_role, may_create_projects, project_for
from annotator.models import Project, ResponseFormat
from annotator.project_form import ProjectForm
from annotator.requests import PersonRequest


@require_http_methods(["GET", "HEAD", "POST"])
@login_required
@transaction.atomic
def project_create(request: PersonRequest) -> HttpResponse:
    if not may_create_projects(request.user):
        raise PermissionDenied(_("Only managers found projects."))
    initial = {"language": request.LANGUAGE_CODE}
    form = ProjectForm(request.POST or None, initial=initial)
    if form.is_valid():
        project = form.save_as(request.user)
        events.record(project, request.user, "created the project", project.name, target=project)
        messages.success(request, _("“%(name)s” is there. Now bring tasks in.") % {"name": project.name})
        return redirect("import", project.slug)
    status = 400 if form.errors else 200
    return render(request, "annotator/project_create.html", {"form": form}, status=status)


@require_http_methods(["GET", "HEAD", "POST"])
@login_required
@transaction.atomic
def settings(request: PersonRequest, slug: str) -> HttpResponse:
    project = project_for(request.user, slug, *MANAGERS)
    form = ProjectForm(request.POST or None, instance=Project.objects.get(pk=project.pk))
    if form.is_valid():
        if form.has_changed():
            changes = audit.changes_of(form)
            form.save_as(request.user)
            changed = ", ".join(form.changed_data)
            events.record(
                project, request.user, "changed the settings", changed, target=project, changes=changes
            )
        messages.success(request, _("Saved."))
        return redirect("settings", project.slug)
    context = {
        "project": project,
        "form": form,
        "several": [ResponseFormat.RANKING, ResponseFormat.BEST_WORST],
    }
    return render(request, "annotator/settings.html", context, status=400 if form.errors else 200)


@require_safe
@login_required
def guidelines(request: PersonRequest, slug: str) -> HttpResponse:
    """The version in force, or the one asked for with `?v=`."""
    project = project_for(request.user, slug)
    versions = project.guidelines.select_related("created_by")
    wanted = request.GET.get("v", "")
    shown = get_object_or_404(versions, version=wanted) if wanted.isdecimal() else versions.first()
    context = {
        "project": project,
        "guideline": shown,
        "versions": versions,
        "may_change": has_role(request.user, project, *MANAGERS),
    }
    return render(request, "annotator/guidelines.html", context)
