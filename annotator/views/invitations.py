"""Invitations by link: managers make and revoke them, people follow them."""

from __future__ import annotations

from django.contrib import messages
from django.contrib.auth import login
from django.contrib.auth.decorators import login_required
from django.db import transaction
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods, require_POST

from annotator import invitations
from annotator.access import MANAGERS, project_for
from annotator.account_forms import InvitationForm, SignUpForm
from annotator.models import Invitation, Membership, Role, User
from annotator.requests import PersonRequest
from annotator.views.accounts import BACKEND
from annotator.views.members import members_page


@require_POST
@never_cache
@login_required
def invite(request: PersonRequest, slug: str) -> HttpResponse:
    """Make a link, and show it this once: it is in this answer and nowhere else."""
    project = project_for(request.user, slug, *MANAGERS)
    form = InvitationForm(request.POST)
    if not form.is_valid():
        return members_page(
            request, project, invitation_form=form, status=200 if request.htmx else 400
        )  # htmx leaves a page as it is on a 400
    invitation, secret = invitations.make(
        project=project,
        by=request.user,
        role=Role(form.cleaned_data["role"]),
        lasts=form.lasts,
        places=form.cleaned_data["places"],
        note=form.cleaned_data["note"],
    )
    link = request.build_absolute_uri(reverse("join", args=[secret]))
    return members_page(request, project, link=link, made=invitation)


@require_POST
@login_required
def revoke(request: PersonRequest, slug: str, invitation_id: int) -> HttpResponse:
    project = project_for(request.user, slug, *MANAGERS)
    invitation = get_object_or_404(Invitation, project=project, pk=invitation_id)
    invitations.revoke(invitation=invitation, by=request.user)
    messages.success(request, _("The link is closed. Who has joined by it stays."))
    return redirect("members", project.slug)


@require_http_methods(["GET", "HEAD", "POST"])
@sensitive_post_parameters()
@never_cache
def join(request: HttpRequest, secret: str) -> HttpResponse:
    """Where a link leads: what one is invited to, and the button; for a visitor with an account first."""
    response = _join(request, secret)
    # The address is the secret: it goes to no log as a referrer, ours included. (With "no-referrer"
    # browsers would send forms with the origin "null", which the check of tokens refuses.)
    response["Referrer-Policy"] = "strict-origin"
    return response


def _join(request: HttpRequest, secret: str) -> HttpResponse:
    invitation = invitations.find(secret)
    if invitation is None:
        return _no_way_in(request, "unknown")
    user = request.user if isinstance(request.user, User) else None
    member = Membership.objects.filter(project=invitation.project, user=user).first() if user else None
    if member is not None:
        messages.info(request, _("You are in this project already."))
        return _start_of(member)
    state = invitations.state_of(invitation)
    if state != "open":
        return _no_way_in(request, state)
    form = SignUpForm(request.POST or None)
    if request.method == "POST" and (user or form.is_valid()):
        try:
            with transaction.atomic():  # without a place there is no account either
                person = user or form.save()
                member = invitations.accept(invitation=invitation, user=person)
        except invitations.NotOpen as error:
            return _no_way_in(request, error.state)
        if user is None:
            login(request, person, backend=BACKEND)
        messages.success(request, _("Welcome to “%(project)s”.") % {"project": invitation.project.name})
        return _start_of(member)
    context = {
        "invitation": invitation,
        "project": invitation.project,
        "guideline": invitation.project.guideline,
        "form": form,
        "here": request.path,
    }
    return render(request, "annotator/join.html", context, status=400 if form.errors else 200)


def _no_way_in(request: HttpRequest, state: str) -> HttpResponse:
    """Says what to do, but never to which project the link once led."""
    status = 404 if state == "unknown" else 410
    return render(request, "annotator/join_closed.html", {"state": state}, status=status)


def _start_of(member: Membership) -> HttpResponse:
    return redirect("rank" if member.role == Role.ANNOTATOR else "project", member.project.slug)
