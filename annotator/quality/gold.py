"""Gold questions: comparisons whose right answer is known, dealt out among the others unmarked.

A gold question is a comparison row of its own, so that its answers never mix with the votes.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

from django.db import transaction
from django.db.models import Avg, Count
from django.utils.translation import gettext as _

from annotator.models import (
    Comparison,
    Completion,
    GoldAnswer,
    Project,
    Prompt,
    Ranking,
    Slot,
    User,
    Verdict,
)

EVERYBODY = 32_767
"""How many judgments a gold question wants: as many as the column can count."""


class GoldError(ValueError):
    """An answer that cannot be right or wrong; the message is for the manager who gave it."""


@dataclass(frozen=True)
class Question:
    """A gold question and how people answer it: a low mean may mean that the answer is wrong."""

    answer: GoldAnswer
    asked: int
    mean: float | None
    """None before the first answer."""


@transaction.atomic
def make(
    source: Comparison | tuple[Prompt, Sequence[Completion]],
    *,
    verdict: str = Verdict.RANKED,
    ranks: Mapping[int, int] | None = None,
    explanation: str = "",
    by: User | None = None,
) -> GoldAnswer:
    """A new gold question of the comparison's completions (or the ones given) and its right answer.

    The comparison itself stays in the queue as it is. A question that was retired comes back with
    the new answer. Raises GoldError, and stores nothing, on an answer that says nothing.
    """
    if isinstance(source, Comparison):
        if not source.is_queued:
            raise GoldError(_("A gold question is made of a comparison that annotators judge."))
        prompt, completions = source.prompt, list(source.completions.order_by("slots__position"))
    else:
        prompt, completions = source[0], list(source[1])
    ids = [completion.pk for completion in completions]
    if not 2 <= len(set(ids)) == len(ids) <= 9 or any(c.prompt_id != prompt.pk for c in completions):
        raise GoldError(_("A gold question needs 2 to 9 different instructions of one task."))
    answer = {
        "verdict": verdict,
        "ranks": {str(key): rank for key, rank in _checked(verdict, ranks or {}, ids).items()},
        "explanation": explanation.strip()[:2000],
        "created_by": by,
    }
    comparison, is_new = Comparison.objects.get_or_create(
        project=prompt.project,
        prompt=prompt,
        completions_key=",".join(str(pk) for pk in sorted(ids)),
        rule=Comparison.Rule.GOLD,
        reserved_for=None,
        defaults={"is_queued": False, "judgments_wanted": EVERYBODY},
    )
    if is_new:
        Slot.objects.bulk_create(
            Slot(comparison=comparison, completion_id=pk, position=place)
            for place, pk in enumerate(ids, start=1)
        )
    elif not comparison.is_closed:
        raise GoldError(_("These instructions are a gold question already."))
    else:
        Comparison.objects.filter(pk=comparison.pk).update(is_closed=False)
    return GoldAnswer.objects.update_or_create(comparison=comparison, defaults=answer)[0]


def retire(answer: GoldAnswer) -> None:
    """Ask it no more. What people answered, and their scores, stay."""
    Comparison.objects.filter(pk=answer.comparison_id).update(is_closed=True)
    answer.comparison.is_closed = True


def bring_back(answer: GoldAnswer) -> None:
    """Ask a retired question again; its answer is as it was."""
    Comparison.objects.filter(pk=answer.comparison_id).update(is_closed=False)
    answer.comparison.is_closed = False


def score(answer: GoldAnswer, verdict: str, ranks: Mapping[int, int]) -> float:
    """How right a judgment is, 0 to 1: the share of the right order's pairs that it met, ties one half.

    Where the right answer is no order ("all bad", "cannot judge"), only the same verdict is right.
    """
    if answer.verdict != Verdict.RANKED:
        return float(verdict == answer.verdict)
    if verdict == Verdict.CANNOT_JUDGE or not ranks:
        return 0.0
    right = {int(key): rank for key, rank in answer.ranks.items()}
    pairs = [(one, other) for one, other in combinations(sorted(right), 2) if right[one] != right[other]]
    met = 0.0
    for one, other in pairs:
        product = (right[one] - right[other]) * (ranks[one] - ranks[other])
        met += 0.5 if product == 0 else float(product > 0)
    return met / len(pairs)


def summary(project: Project) -> list[Question]:
    """The project's gold questions, newest first, with how often and how well they were answered."""
    answers = GoldAnswer.objects.filter(comparison__project=project)
    return questions(answers.select_related("comparison__prompt", "created_by").order_by("-pk"))


def questions(answers: Iterable[GoldAnswer]) -> list[Question]:
    """The same of these questions alone."""
    rows = list(answers)
    given = Ranking.objects.live().filter(
        comparison__in=[row.comparison_id for row in rows], gold_score__isnull=False
    )
    figures = {
        row["comparison"]: (row["asked"], row["mean"])
        for row in given.order_by().values("comparison").annotate(asked=Count("pk"), mean=Avg("gold_score"))
    }
    return [Question(row, *figures.get(row.comparison_id, (0, None))) for row in rows]


def _checked(verdict: str, ranks: Mapping[int, int], ids: Sequence[int]) -> dict[int, int]:
    """The right ranks without gaps; none where the verdict is not an order."""
    if verdict in (Verdict.ALL_BAD, Verdict.CANNOT_JUDGE):
        return {}
    if verdict != Verdict.RANKED:
        raise GoldError(_("“%(verdict)s” is not a verdict.") % {"verdict": verdict})
    if set(ranks) != set(ids) or not all(type(rank) is int and rank >= 1 for rank in ranks.values()):
        raise GoldError(_("Rank each of the instructions shown, and no others."))
    dense = {rank: place for place, rank in enumerate(sorted(set(ranks.values())), start=1)}
    if len(dense) == 1:
        raise GoldError(_("Where all are equally good, every answer would be right."))
    return {pk: dense[ranks[pk]] for pk in ids}
