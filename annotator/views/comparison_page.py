"""What a comparison's page shows: the texts, every judgment in words, and the forms of a manager."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

from django.http import HttpResponse
from django.shortcuts import render

from annotator import consent
from annotator.models import Comparison, GoldAnswer, Project, Ranking, Verdict
from annotator.names import Names
from annotator.order_forms import TIE, DecisionForm, GoldForm
from annotator.ranking.adjudication import refusal
from annotator.ranking.disagreement import share_of
from annotator.ranking.words import NUMBERS, in_words
from annotator.requests import PersonRequest


@dataclass(frozen=True)
class Remark:
    """What somebody said of one text beside its rank."""

    number: str
    flags: list[str]
    ratings: dict[str, int]


@dataclass(frozen=True)
class Said:
    """One judgment as the page tells it, with the texts' numbers on the page."""

    ranking: Ranking
    name: str
    is_withdrawn: bool
    words: str
    shown: str
    remarks: list[Remark]


def render_page(
    request: PersonRequest,
    project: Project,
    comparison: Comparison,
    *,
    decision_form: DecisionForm | None = None,
    gold_form: GoldForm | None = None,
) -> HttpResponse:
    """The page; forms that were refused are given, and shown with what was entered and what is wrong."""
    for form in filter(None, (decision_form, gold_form)):
        form.focus_on_error()
    slots = list(comparison.slots.select_related("completion"))
    shown = [slot.completion_id for slot in slots]
    rankings = comparison.rankings.select_related("annotator").order_by("-is_adjudication", "pk")
    names = Names(project, request.user)
    manages = names.are_known
    withdrawn = consent.withdrawn_among(project, {ranking.annotator_id for ranking in rankings})
    said = [
        _said(ranking, shown, names.of(ranking.annotator), is_withdrawn=ranking.annotator_id in withdrawn)
        for ranking in rankings
        if manages or ranking.annotator_id not in withdrawn
    ]
    answer = GoldAnswer.objects.filter(comparison=comparison).select_related("created_by").first()
    context: dict[str, Any] = {
        "project": project,
        "comparison": comparison,
        "texts": list(zip(NUMBERS, slots, strict=False)),
        "said": [one for one in said if one.ranking.is_live],
        "taken_back": [one for one in said if not one.ranking.is_live],
        "contradiction": share_of(comparison) if comparison.is_queued else 0,
        "leases": comparison.assignments.filter(state="leased").count(),
        "left_out": len(rankings) - len(said),
        "reserved_for": names.of(comparison.reserved_for) if comparison.reserved_for else "",
        "manages": manages,
        "gold_answer": answer,
        "gold_words": answer and in_words(answer.verdict, _by_id(answer.ranks), shown, names=NUMBERS),
    }
    if manages and comparison.is_queued:
        context["refusal"] = refusal(comparison, request.user)
        context["decision_form"] = decision_form or DecisionForm(
            project=project, shown=shown, initial={"key": uuid4().hex}, auto_id="decision_%s"
        )
        context["gold_form"] = gold_form or GoldForm(
            project=project, shown=shown, initial=_likely(comparison, shown), auto_id="gold_%s"
        )
    return render(request, "annotator/comparison.html", context)


def shown_in(comparison: Comparison) -> list[int]:
    """The instructions' ids in the order of the page."""
    return list(comparison.slots.order_by("position").values_list("completion", flat=True))


def _said(ranking: Ranking, shown: list[int], name: str, *, is_withdrawn: bool) -> Said:
    number = dict(zip(shown, NUMBERS, strict=False))
    flags, ratings = _by_id(ranking.flags), _by_id(ranking.ratings)
    words = (
        str(Verdict.UNDONE.label)
        if ranking.verdict == Verdict.UNDONE
        else in_words(ranking.verdict, _by_id(ranking.ranks), shown, ranking.strength, names=NUMBERS)
    )
    return Said(
        ranking=ranking,
        name=name,
        is_withdrawn=is_withdrawn,
        words=words,
        shown=", ".join(number[pk] for pk in ranking.order if pk in number),
        remarks=[
            Remark(number[pk], flags.get(pk, []), ratings.get(pk, {}))
            for pk in shown
            if pk in flags or pk in ratings
        ],
    )


def _by_id(stored: dict[str, Any]) -> dict[int, Any]:
    """JSON has no numbers for keys."""
    return {int(key): value for key, value in stored.items()}


def _likely(comparison: Comparison, shown: list[int]) -> dict[str, object]:
    """The right answer as far as the votes tell: the decision, or what most of them said."""
    votes = Counter(
        (verdict, tuple(sorted(_by_id(ranks).items())))
        for verdict, ranks in Ranking.objects.votes()
        .filter(comparison=comparison)
        .values_list("verdict", "ranks")
    )
    if not votes:
        return {}
    (verdict, given), _count = votes.most_common(1)[0]
    ranks = dict(given)
    if len(shown) != 2:
        return {"verdict": verdict, **{f"rank-{pk}": rank for pk, rank in ranks.items()}}
    if verdict != Verdict.RANKED:
        return {"choice": verdict}
    one, other = (ranks[pk] for pk in shown)
    return {"choice": TIE if one == other else "1" if one < other else "2"}
