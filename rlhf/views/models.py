"""Checkpoints: where each comes from, how good it is, and which one writes."""

from __future__ import annotations

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpResponse, JsonResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from annotator.access import MANAGERS, STAFF, project_for
from annotator.requests import PersonRequest
from annotator.views.files import csv_file
from rlhf import (
    leaderboards,
    lineage,
    lineage_tree,
    live,
    model_data,
    promotion,
    promotion_page,
    runs,
    selection_page,
)
from rlhf.forms import RefitForm
from rlhf.views.roles import manages


@require_safe
@login_required
def index(request: PersonRequest, slug: str) -> HttpResponse:
    project = project_for(request.user, slug, *STAFF)
    policies = lineage.policies_of(project)
    context = {
        "project": project,
        "policies": policies,
        "tree": lineage_tree.tree_of(policies),
        "rewards": lineage.rewards_of(project),
        "live": live.of(project),
        "most": live.MOST,
        "brought": selection_page.brought(project),
        "leaderboards": leaderboards.of_project(project),
        "history": promotion_page.history_of(project),
        "manages": manages(request.user, project),
    }
    return render(request, "rlhf/models.html", context)


@require_safe
@login_required
def data(request: PersonRequest, slug: str) -> HttpResponse:
    """Checkpoints and promotions: JSON (as a file: `?download`), or `?format=csv` (`&table=promotions`)."""
    project = project_for(request.user, slug, *STAFF)
    if request.GET.get("format") == "csv":
        if request.GET.get("table") == "promotions":
            return csv_file(model_data.promotion_rows(project), name=f"{slug}-promotions.csv")
        return csv_file(model_data.rows(project), name=f"{slug}-models.csv")
    response = JsonResponse(
        {"checkpoints": model_data.as_data(project), "promotions": model_data.promotions(project)},
        json_dumps_params={"ensure_ascii": False, "indent": 2},
    )
    if "download" in request.GET:
        response["Content-Disposition"] = f'attachment; filename="{slug}-models.json"'
    return response


@require_safe
@login_required
def leaderboard(request: PersonRequest, slug: str) -> HttpResponse:
    """The leaderboards as a file: JSON, or with `?format=csv` one table of all."""
    project = project_for(request.user, slug, *STAFF)
    name = f"{slug}-leaderboards"
    if request.GET.get("format") == "csv":
        return csv_file(leaderboards.csv_rows(project), name=f"{name}.csv")
    found = leaderboards.as_json(project)
    response = JsonResponse(found, json_dumps_params={"ensure_ascii": False, "indent": 2})
    response["Content-Disposition"] = f'attachment; filename="{name}.json"'
    return response


@require_http_methods(["GET", "HEAD", "POST"])
@login_required
def promote(request: PersonRequest, slug: str, checkpoint_id: int) -> HttpResponse:
    """The figures by which a policy is promoted; a POST lets it write from now on.

    Also the way back to an earlier one. A POST that must not be taken at its word (it was never evaluated,
    there are newer figures) shows the figures, and why.
    """
    project = project_for(request.user, slug, *MANAGERS)
    checkpoint = get_object_or_404(project.checkpoints.select_related("run", "parent"), pk=checkpoint_id)
    problem = ""
    if request.method == "POST":
        seen = request.POST.get("seen", "")
        try:
            changed = promotion.promote(
                checkpoint,
                user=request.user,
                seen=int(seen) if seen.isdecimal() else None,
                unevaluated="unevaluated" in request.POST,
            )
        except (promotion.NotEvaluated, promotion.NotSeen) as error:
            problem = str(error)
        except runs.CannotStart as error:
            messages.error(request, str(error))
            return redirect("models", slug)
        else:
            if changed:
                messages.success(
                    request, _("%(name)s writes the instructions from now on.") % {"name": checkpoint}
                )
            return redirect("models", slug)
    context = {
        "project": project,
        "checkpoint": checkpoint,
        "dialog": promotion_page.dialog_of(checkpoint),
        "problem": problem,
    }
    return render(request, "rlhf/promote.html", context, status=422 if problem else 200)


@require_POST
@login_required
def refits(request: PersonRequest, slug: str) -> HttpResponse:
    """After how many new rankings the reward heads are refitted; 0 is never."""
    project = project_for(request.user, slug, *MANAGERS)
    form = RefitForm(request.POST)
    if not form.is_valid():
        messages.error(request, " ".join(map(str, form.errors["every"])))
    else:
        live.set_every(project, form.cleaned_data["every"])
        messages.success(request, _("Saved."))
    return redirect("models", slug)
