"""Who takes part in a project, in which role, and whose part is paused."""

from __future__ import annotations

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.core.paginator import Paginator
from django.db import transaction
from django.db.models import Count, Q
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from annotator import consent, events, invitations
from annotator.access import MANAGERS, project_for
from annotator.account_forms import InvitationForm, PauseForm
from annotator.forms import MemberForm
from annotator.models import Assignment, Event, Invitation, Membership, Project, Ranking, Role, Withdrawal
from annotator.quality import watch
from annotator.ranking import queue
from annotator.requests import PersonRequest

PER_PAGE = 50
INVITATIONS_SHOWN = 20


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
    return members_page(request, project, form=form, status=400 if form.errors else 200)


def members_page(
    request: PersonRequest,
    project: Project,
    *,
    form: MemberForm | None = None,
    invitation_form: InvitationForm | None = None,
    link: str = "",
    made: Invitation | None = None,
    status: int = 200,
) -> HttpResponse:
    """The list, its filters, and the invitations; with `link`, the one just `made`."""
    rows = project.memberships.select_related("user").order_by("user__username")
    text, role, state = (request.GET.get(name, "").strip() for name in ("q", "role", "state"))
    found = rows
    if text:
        found = found.filter(Q(user__username__icontains=text) | Q(user__first_name__icontains=text))
    if role in Role.values:
        found = found.filter(role=role)
    if state in ("paused", "working"):
        found = found.filter(paused_at__isnull=state == "working")
    withdrawn = Withdrawal.objects.filter(project=project, taken_back_at=None).values("annotator")
    if state == "withdrawn":
        found = found.filter(user__in=withdrawn)
    page = Paginator(found, PER_PAGE).get_page(request.GET.get("page"))
    judged = _judged(project, [member.user_id for member in page])
    for member in page:
        member.judged = judged.get(member.user_id, 0)  # type: ignore[attr-defined]
    page_withdrawn = consent.withdrawn_among(project, [member.user_id for member in page])
    shown = list(project.invitations.select_related("created_by")[:INVITATIONS_SHOWN])
    context = {
        "project": project,
        "form": form or MemberForm(project=project),
        "invitation_form": invitation_form or InvitationForm(),
        "invitations": [(one, invitations.state_of(one)) for one in shown],
        "states": invitations.STATES,
        "link": link,
        "made": made,
        "page": page,
        "total": rows.count(),
        "paused": rows.exclude(paused_at=None).count(),
        "withdrawn": page_withdrawn,
        "withdrawn_count": rows.filter(user__in=withdrawn).count(),
        "roles": Role.choices,
        "query": request.GET,
    }
    return render(request, "annotator/members.html", context, status=status)


@require_safe
@login_required
def member(request: PersonRequest, slug: str, member_id: int) -> HttpResponse:
    """One member: their role, their pause and what it says, and leaving."""
    project = project_for(request.user, slug, *MANAGERS)
    row = get_object_or_404(project.memberships.select_related("user"), pk=member_id)
    return _member_page(request, row, PauseForm())


def _member_page(
    request: PersonRequest, member: Membership, form: PauseForm, status: int = 200
) -> HttpResponse:
    project = member.project
    context = {
        "project": project,
        "member": member,
        "form": form,
        "roles": Role.choices,
        "judged": _judged(project, [member.user_id]).get(member.user_id, 0),
        "withdrawn_at": consent.withdrawn_among(project, [member.user_id]).get(member.user_id),
        "pause": Event.objects.filter(project=project, verb="paused", subject=member.user.username)
        .select_related("actor")
        .first()
        if member.paused_at
        else None,
    }
    return render(request, "annotator/member.html", context, status=status)


@require_POST
@login_required
@transaction.atomic
def member_change(request: PersonRequest, slug: str, member_id: int) -> HttpResponse:
    """Give a member another role, pause them or lift a pause."""
    project = project_for(request.user, slug, *MANAGERS)
    member = get_object_or_404(project.memberships.select_related("user", "project"), pk=member_id)
    if "pause" in request.POST:
        form = PauseForm(request.POST)
        if not form.is_valid():
            return _member_page(request, member, form, status=400)
        watch.pause(member, request.user, form.cleaned_data["reason"])
    elif "lift" in request.POST:
        watch.lift(member, request.user)
    elif request.POST.get("role") in Role.values:
        role = request.POST["role"]
        if role != Role.MANAGER and is_last_manager(project, member):
            messages.error(request, _("A project needs a manager. Make somebody else one first."))
            return redirect("members", project.slug)
        member.role = role
        member.save(update_fields=["role"])
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
    if any(invitations.state_of(one) == "open" for one in project.invitations.all()):
        messages.warning(request, _("An open invitation would let them in again: revoke it if they know it."))
    return redirect("home") if member.user == request.user else redirect("members", project.slug)


def is_last_manager(project: Project, member: Membership) -> bool:
    managers = project.memberships.filter(role=Role.MANAGER)
    return member.role == Role.MANAGER and not managers.exclude(pk=member.pk).exists()


def _judged(project: Project, user_ids: list[int]) -> dict[int, int]:
    """How many live judgments each of these people has given in the project."""
    rows = Ranking.objects.live().filter(comparison__project=project, annotator__in=user_ids)
    counted = rows.order_by().values_list("annotator").annotate(count=Count("pk"))
    return dict(counted)


def _release_leases(project: Project, member: Membership) -> None:
    held = Assignment.objects.filter(
        annotator=member.user, comparison__project=project, state=Assignment.State.LEASED
    )
    for assignment in held:
        queue.release(assignment)
