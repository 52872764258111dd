"""What the ranking page and the server say to each other: requests read, comparisons shown."""

from __future__ import annotations

import json
from typing import Any

from django.http import Http404, JsonResponse
from django.template.loader import render_to_string
from django.utils.translation import gettext as _

from annotator.models import Assignment, Project, Ranking, ResponseFormat, Verdict
from annotator.ranking import leases
from annotator.ranking.judgments import InvalidJudgment, Judgment
from annotator.ranking.submit import Feedback
from annotator.ranking.words import LETTERS, in_words
from annotator.requests import PersonRequest


def shown(assignment: Assignment) -> dict[str, Any]:
    """What the page shows of an assignment: never who or what wrote a text."""
    comparison = assignment.comparison
    project = comparison.project
    return {
        "assignment": assignment,
        "project": project,
        "prompt": comparison.prompt,
        "instructions": [
            {"id": completion.pk, "letter": letter, "text": completion.text}
            for completion, letter in zip(leases.shown(assignment), LETTERS, strict=False)
        ],
        "form": _form(project, len(assignment.order)),
        "places": range(1, len(assignment.order) + 1),
        "scale_values": range(1, 6),
    }


def _form(project: Project, k: int) -> str:
    if k == 2:
        return ResponseFormat.PAIRWISE.value
    if project.response_format == ResponseFormat.BEST_WORST:
        return ResponseFormat.BEST_WORST.value
    return ResponseFormat.RANKING.value


def fragment(request: PersonRequest, assignment: Assignment, **more: Any) -> str:
    return render_to_string("annotator/_comparison.html", {**shown(assignment), **more}, request)


def feedback_fragment(request: PersonRequest, ranking: Ranking, told: Feedback) -> str:
    """What was said, what was expected and why, as the page shows it."""
    said = {int(key): rank for key, rank in ranking.ranks.items()}
    context = {
        "told": told,
        "prompt": ranking.comparison.prompt,
        "said": in_words(ranking.verdict, said, ranking.order, ranking.strength),
        "expected": in_words(told.verdict, told.ranks, ranking.order),
        "instructions": shown(ranking.assignment)["instructions"],
    }
    return render_to_string("annotator/_feedback.html", context, request)


def body_of(request: PersonRequest) -> dict[str, Any]:
    """The JSON object that was sent (in the field `json` of a form when the page is being left)."""
    sent: Any = request.POST.get("json") or request.body
    try:
        body = json.loads(sent)
    except ValueError as error:
        raise InvalidJudgment(_("The request could not be read.")) from error
    return body if isinstance(body, dict) else {}


def assignment_of(request: PersonRequest, project: Project, body: dict[str, Any]) -> Assignment:
    pk = body.get("assignment")
    if not isinstance(pk, int):
        raise InvalidJudgment(_("The request could not be read."))
    found = leases.assignment_of(request.user, project, pk)
    if found is None:
        raise Http404
    return found


def judgment_of(body: dict[str, Any]) -> Judgment:
    try:
        return Judgment(
            verdict=str(body.get("verdict", Verdict.RANKED)),
            ranks={int(key): rank for key, rank in body.get("ranks", {}).items()},
            strength=body.get("strength"),
            reason=str(body.get("reason", "")),
            flags={int(key): [str(flag) for flag in flags] for key, flags in body.get("flags", {}).items()},
            ratings={int(key): dict(values) for key, values in body.get("ratings", {}).items()},
            rationale=str(body.get("rationale", "")),
            improved_text=str(body.get("improved_text", "")),
            seconds=None if body.get("seconds") is None else float(body["seconds"]),
        )
    except (AttributeError, TypeError, ValueError) as error:
        raise InvalidJudgment(_("The request could not be read.")) from error


def as_given(ranking: Ranking) -> dict[str, Any]:
    """A judgment as the page sent it, to fill its form in again."""
    fields = ("verdict", "ranks", "strength", "reason", "flags", "ratings", "rationale", "improved_text")
    return {name: getattr(ranking, name) for name in fields}


def problem(message: str, status: int, **more: Any) -> JsonResponse:
    return JsonResponse({"error": message, **more}, status=status)
