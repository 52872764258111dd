"""What is done with one's judgments, and withdrawing them: for everybody who judges or has judged."""

from __future__ import annotations

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_POST, require_safe

from annotator import consent
from annotator.requests import PersonRequest


@require_safe
@login_required
@never_cache
def my_judgments(request: PersonRequest) -> HttpResponse:
    return render(request, "annotator/my_judgments.html", {"parts": consent.parts_of(request.user)})


@require_POST
@login_required
def judgments_withdraw(request: PersonRequest, slug: str) -> HttpResponse:
    part = consent.part_of(request.user, slug)
    if consent.withdraw(request.user, part.project):
        words = _("Withdrawn. From now on nothing that leaves “%(name)s” has your judgments in it.")
        messages.success(request, words % {"name": part.project.name})
    else:
        messages.info(request, _("Your judgments were withdrawn already."))
    return redirect("my-judgments")


@require_POST
@login_required
def judgments_give_back(request: PersonRequest, slug: str) -> HttpResponse:
    part = consent.part_of(request.user, slug)
    if consent.give_back(request.user, part.project):
        words = _("Your judgments in “%(name)s” may be used again.")
        messages.success(request, words % {"name": part.project.name})
    else:
        messages.info(request, _("Your judgments were not withdrawn."))
    return redirect("my-judgments")
