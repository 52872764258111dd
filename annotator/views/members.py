"""Who takes part in a project, in which role."""

from __future__ import annotations

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.db import transaction
from django.db.models import Count, Q
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods, require_POST

from annotator import events
from annotator.access import MANAGERS, project_for
from annotator.forms import MemberForm
from annotator.models import Assignment, Membership, Project, Role
from annotator.ranking import queue
from annotator.requests import PersonRequest


@require_http_methods(["GET", "HEAD", "POST"])
@login_required
def members(request: PersonRequest, slug: str) -> HttpResponse:
    project = project_for(request.user, slug, *MANAGERS)
    form = MemberForm(request.POST or None, project=project)
    if form.is_valid():
        user, role = form.cleaned_data["username"], form.cleaned_data["role"]
        Membership.objects.create(project=project, user=user, role=role)
        events.record(project, request.user, "added", user.username)
        messages.success(request, _("%(name)s has joined the project.") % {"name": user.username})
        return redirect("members", project.slug)
    judged = Count(
        "user__rankings", filter=Q(user__rankings__is_live=True, user__rankings__comparison__project=project)
    )
    rows = project.memberships.select_related("user").annotate(judged=judged)
    context = {
        "project": project,
        "form": form,
        "members": rows.order_by("user__username"),
        "roles": Role.choices,
    }
    return render(request, "annotator/members.html", context, status=400 if form.errors else 200)


@require_POST
@login_required
@transaction.atomic
def member_change(request: PersonRequest, slug: str, member_id: int) -> HttpResponse:
    """Give a member another role, pause them or lift a pause."""
    project = project_for(request.user, slug, *MANAGERS)
    member = get_object_or_404(project.memberships.select_related("user"), pk=member_id)
    if request.POST.get("role") in Role.values:
        role = request.POST["role"]
        if role != Role.MANAGER and is_last_manager(project, member):
            messages.error(request, _("A project needs a manager. Make somebody else one first."))
            return redirect("members", project.slug)
        member.role = role
    if "pause" in request.POST:
        member.paused_at = timezone.now()
        member.pause_reason = request.POST.get("reason", "")[:200]
        _release_leases(project, member)
    if "lift" in request.POST:
        member.paused_at, member.pause_reason = None, ""
    member.save()
    events.record(project, request.user, "changed", member.user.username)
    messages.success(request, _("Saved."))
    return redirect("members", project.slug)


@require_POST
@login_required
@transaction.atomic
def member_remove(request: PersonRequest, slug: str, member_id: int) -> HttpResponse:
    """Take a member out. What they judged stays."""
    project = project_for(request.user, slug, *MANAGERS)
    member = get_object_or_404(project.memberships.select_related("user"), pk=member_id)
    if is_last_manager(project, member):
        messages.error(request, _("A project needs a manager. Make somebody else one first."))
        return redirect("members", project.slug)
    _release_leases(project, member)
    member.delete()
    events.record(project, request.user, "removed", member.user.username)
    messages.success(
        request, _("%(name)s has left the project. Their judgments stay.") % {"name": member.user.username}
    )
    return redirect("home") if member.user == request.user else redirect("members", project.slug)


def is_last_manager(project: Project, member: Membership) -> bool:
    managers = project.memberships.filter(role=Role.MANAGER)
    return member.role == Role.MANAGER and not managers.exclude(pk=member.pk).exists()


def _release_leases(project: Project, member: Membership) -> None:
    held = Assignment.objects.filter(
        annotator=member.user, comparison__project=project, state=Assignment.State.LEASED
    )
    for assignment in held:
        queue.release(assignment)
