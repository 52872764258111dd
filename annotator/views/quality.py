"""How good the judgments are: agreement with its interval, and a row for each annotator."""

from __future__ import annotations

from django.contrib.auth.decorators import login_required
from django.http import HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from annotator.access import STAFF, project_for
from annotator.quality import people, progress
from annotator.quality.agreement import pairwise_agreement
from annotator.requests import PersonRequest


@require_safe
@login_required
def quality(request: PersonRequest, slug: str) -> HttpResponse:
    project = project_for(request.user, slug, *STAFF)
    rows = people.of_project(project)
    has_simulated = any(person.user.is_simulated for person in rows)
    has_people = any(not person.user.is_simulated for person in rows)
    context = {
        "project": project,
        "people": rows,
        "counts": progress.of_project(project),
        "agreement": pairwise_agreement(project),
        "is_mixed": has_simulated and has_people,
        "of_people": pairwise_agreement(project, simulated=False) if has_simulated and has_people else None,
        "has_simulated": has_simulated,
    }
    return render(request, "annotator/quality.html", context)
