"""The tasks of a project, and one task with its instructions."""

from __future__ import annotations

from django.contrib.auth.decorators import login_required
from django.core.paginator import Paginator
from django.db.models import F, Func, IntegerField, OuterRef, QuerySet, Subquery
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, render
from django.views.decorators.http import require_safe

from annotator.access import MANAGERS, STAFF, has_role, project_for
from annotator.forms import ImageForm
from annotator.models import Comparison, Completion, Domain, Prompt
from annotator.names import Names
from annotator.quality import wins
from annotator.requests import PersonRequest

PER_PAGE = 25


@require_safe
@login_required
def prompts(request: PersonRequest, slug: str) -> HttpResponse:
    project = project_for(request.user, slug, *STAFF)
    rows = project.prompts.all()
    found = _filtered(rows, request).annotate(
        completion_count=_count(Completion.objects.filter(prompt=OuterRef("pk"))),
        comparison_count=_count(Comparison.objects.filter(prompt=OuterRef("pk"))),
    )
    context = {
        "project": project,
        "page": Paginator(found, PER_PAGE).get_page(request.GET.get("page")),
        "total": rows.count(),
        "domains": Domain.choices,
        "languages": rows.order_by("language").values_list("language", flat=True).distinct(),
        "query": request.GET,
        "may_import": has_role(request.user, project, *MANAGERS),
    }
    return render(request, "annotator/prompts.html", context)


@require_safe
@login_required
def prompt(request: PersonRequest, slug: str, prompt_id: int) -> HttpResponse:
    project = project_for(request.user, slug, *STAFF)
    row = get_object_or_404(project.prompts.select_related("batch"), pk=prompt_id)
    return page_of(request, row)


def page_of(request: PersonRequest, row: Prompt, form: ImageForm | None = None) -> HttpResponse:
    """The task's page; with the form of its image as it came, where that was refused."""
    record = wins.of_prompt(row)
    completions = row.completions.select_related("author", "batch").order_by("-iteration", "pk")
    names = Names(row.project, request.user)
    manages = names.are_known
    context = {
        "project": row.project,
        "prompt": row,
        "completions": [
            (one, record.get(one.pk), names.of(one.author) if one.author else "") for one in completions
        ],
        "comparison_count": row.comparisons.count(),
        "manages": manages,
    }
    if manages:
        context["image_form"] = form or ImageForm(
            has_image=bool(row.image), initial={"image_text": row.image_text}
        )
    return render(request, "annotator/prompt.html", context, status=400 if form else 200)


def _filtered(rows: QuerySet[Prompt], request: PersonRequest) -> QuerySet[Prompt]:
    query = request.GET
    if text := query.get("q", "").strip():
        rows = rows.filter(text__icontains=text)
    if domain := query.get("domain"):
        rows = rows.filter(domain=domain)
    if language := query.get("language"):
        rows = rows.filter(language=language)
    if query.get("held_out") in ("0", "1"):
        rows = rows.filter(is_held_out=query["held_out"] == "1")
    return rows


def _count(rows: QuerySet[Completion] | QuerySet[Comparison]) -> Subquery:
    """A count by subquery: one row of the page at a time, without joining the two tables."""
    counted = rows.order_by().annotate(n=Func(F("pk"), function="COUNT")).values("n")
    return Subquery(counted, output_field=IntegerField())
