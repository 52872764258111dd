"""Giving a judgment, taking it back, skipping. Raw judgments are only ever added, never changed.

Every call may be repeated: the same annotator and idempotency key give the same row.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from django.db import IntegrityError, models, transaction
from django.db.models.functions import Now
from django.utils import timezone
from django.utils.translation import gettext as _

from annotator.models import (
    Assignment,
    Comparison,
    Completion,
    GoldAnswer,
    GoldFeedback,
    Guideline,
    Ranking,
    User,
    Verdict,
    hash_text,
)
from annotator.prepared import Given, Insert, Select, Update, an_id
from annotator.prompts.cleaning import strip_text
from annotator.quality import gold, watch
from annotator.ranking import dealing, queue
from annotator.ranking.judgments import InvalidJudgment, Judgment, LeaseLost, checked
from annotator.webhooks import outbox

State = Assignment.State

_LOCKED = Select(
    lambda: queue.locked(Assignment.objects.select_related("comparison__project", "annotator")).filter(
        pk=an_id("assignment")
    )
)
_BY_KEY = Select(
    lambda: Ranking.objects.filter(
        annotator=an_id("annotator"), idempotency_key=Given("key", models.CharField())
    )
)
_OF_COMPARISON = Select(
    lambda: (
        Ranking.objects.filter(comparison=an_id("comparison"))
        .order_by("pk")
        .values_list("annotator", "verdict", "pk")
    )
)
_NEWEST_GUIDELINE = Select(
    lambda: Guideline.objects.filter(project=an_id("project")).order_by("-version").values_list("version")[:1]
)
_SUBMITTED = Update(lambda: Assignment.objects.filter(pk=an_id("assignment")), state=State.SUBMITTED)
_ANSWER = Select(lambda: GoldAnswer.objects.filter(comparison=an_id("comparison")))
_STORE = Insert(Ranking)


@dataclass(frozen=True)
class Feedback:
    """How right the answer to a gold question was, and what would have been right."""

    score: float
    verdict: str
    ranks: dict[int, int]
    explanation: str

    @property
    def is_right(self) -> bool:
        return self.score == 1


def submit(*, assignment: Assignment, judgment: Judgment, idempotency_key: str) -> Ranking:
    """Store the judgment. Raises InvalidJudgment or LeaseLost, and then stores nothing.

    A judgment that comes after its lease has ended is taken if the comparison still wants one.
    """

    def is_this(known: Ranking) -> bool:
        return known.assignment_id == assignment.pk and known.verdict != Verdict.UNDONE

    def store() -> Ranking:
        held = _lock(assignment)
        # A key that was used meets its constraint; of what is no lease any more it must be known before.
        if held.state != State.LEASED and (known := _by_key(held.annotator_id, idempotency_key)):
            return _same(known, is_this(known))
        values = checked(judgment, held.comparison.project, held.order)
        _take(held)
        undone = _undone_before(held)
        ranking = Ranking(
            comparison=held.comparison,
            assignment=held,
            annotator=held.annotator,
            order=held.order,
            guideline_version=_guideline_version(held.comparison.project_id),
            idempotency_key=idempotency_key,
            supersedes_id=undone,
            is_simulated=held.annotator.is_simulated,
            gold_score=_gold_score(held, values, undone),
            created_at=timezone.now(),
            **values,
        )
        (ranking.pk,) = _STORE(**ranking.__dict__)
        _store_improvement(ranking)
        outbox.after_judgment(held.comparison)
        return ranking

    ranking = _once(store, assignment.annotator_id, idempotency_key, is_this)
    if ranking.gold_score is not None:
        dealing.settle(ranking.annotator, ranking.comparison.project)
    watch.after(ranking)
    return ranking


def feedback(ranking: Ranking) -> Feedback | None:
    """What the person is told about this judgment; None unless it answers a gold question and they are.

    In the qualification round that is what came before they were qualified.
    """
    if ranking.gold_score is None:
        return None
    project = ranking.comparison.project
    if project.gold_feedback == GoldFeedback.NEVER:
        return None
    if project.gold_feedback == GoldFeedback.QUALIFICATION and not dealing.was_qualifying(ranking):
        return None
    answer = _answer(ranking.comparison_id)
    right = {int(key): rank for key, rank in answer.ranks.items()}
    return Feedback(ranking.gold_score, answer.verdict, right, answer.explanation)


def undo(*, annotator: User, ranking: Ranking, idempotency_key: str) -> Ranking:
    """Take a live judgment back: adds the row that supersedes it, and leases the comparison again.

    The row that was added is returned; `claim_next` now gives the same comparison in the same order.
    """

    def store() -> Ranking:
        held = _lock(ranking.assignment)
        known = _by_key(annotator.pk, idempotency_key)
        if known is not None:
            return _same(known, known.supersedes_id == ranking.pk)
        if held.annotator_id != annotator.pk:
            raise InvalidJudgment(_("You can undo only your own judgments."))
        if ranking.is_adjudication:
            raise InvalidJudgment(_("A decision is withdrawn on the comparison's page."))
        if not Ranking.objects.filter(pk=ranking.pk, is_live=True).update(is_live=False):
            raise InvalidJudgment(_("This judgment has been undone already."))
        _remove_improvement(ranking)
        undone = Ranking.objects.create(
            comparison=held.comparison,
            assignment=held,
            annotator=annotator,
            verdict=Verdict.UNDONE,
            order=held.order,
            idempotency_key=idempotency_key,
            supersedes=ranking,
            is_live=False,
            is_simulated=ranking.is_simulated,
        )
        # The judgment's place becomes the lease's, so the comparison's count stays as it is.
        Assignment.objects.filter(pk=held.pk).update(
            state=State.LEASED,
            leased_until=Now() + timedelta(seconds=held.comparison.project.lease_seconds),
        )
        return undone

    return _once(store, annotator.pk, idempotency_key, lambda known: known.supersedes_id == ranking.pk)


@transaction.atomic
def skip(*, assignment: Assignment, reason: str) -> None:
    """Leave the comparison to others; it does not come back to this person."""
    held = _lock(assignment)
    reason = strip_text(reason)[:500]
    if held.state == State.SUBMITTED:
        raise InvalidJudgment(_("You have judged this one already. Undo the judgment first."))
    if not queue.end_lease(held, State.SKIPPED, skip_reason=reason):
        Assignment.objects.filter(pk=held.pk).update(state=State.SKIPPED, skip_reason=reason)
    if held.comparison.rule == Comparison.Rule.GOLD:
        dealing.settle(held.annotator, held.comparison.project)


def _once(
    store: Callable[[], Ranking], annotator_id: int, idempotency_key: str, is_same: Callable[[Ranking], bool]
) -> Ranking:
    """Run `store` in a transaction; if the same request came before, or won the race, give its row."""
    if not 0 < len(idempotency_key) <= 64:
        raise InvalidJudgment(_("The key of a judgment has 1 to 64 characters."))
    try:
        with transaction.atomic():
            return store()
    except IntegrityError:
        known = _by_key(annotator_id, idempotency_key)
        if known is None:
            raise
        return _same(known, is_same(known))


def _lock(assignment: Assignment) -> Assignment:
    held: Assignment | None = _LOCKED.first(assignment=assignment.pk)
    if held is None:
        raise Assignment.DoesNotExist(assignment.pk)
    return held


def _by_key(annotator_id: int, idempotency_key: str) -> Ranking | None:
    return _BY_KEY.first(annotator=annotator_id, key=idempotency_key)


def _same(known: Ranking, is_same: bool) -> Ranking:
    if not is_same:
        raise InvalidJudgment(_("This key was used for another judgment."))
    return known


def _take(held: Assignment) -> None:
    """Turn the lease, or what is left of it, into a submitted judgment's place."""
    if held.state == State.SUBMITTED:
        raise LeaseLost(_("You have judged this one already. Undo the judgment to change it."))
    if held.state == State.SKIPPED:
        raise LeaseLost(_("You have skipped this one, so the judgment was not stored."))
    if held.state != State.LEASED:
        _regain(held)
    _SUBMITTED(assignment=held.pk)


def _regain(held: Assignment) -> None:
    """The lease has ended; take a place again if nobody else needs to judge it."""
    mine = Assignment.objects.filter(comparison=held.comparison_id, annotator=held.annotator_id)
    newer = mine.filter(state=State.LEASED).first()
    if newer is not None:
        queue.release(newer)
    if mine.filter(state=State.SUBMITTED).exists():
        raise LeaseLost(_("You have judged this one already. Undo the judgment to change it."))
    if not queue.take_place(held.comparison_id):
        raise LeaseLost(
            _("Your hold on this one ended and others have judged it meanwhile, so it was not stored.")
        )


def _guideline_version(project_id: int) -> int | None:
    (version,) = _NEWEST_GUIDELINE.first(project=project_id) or (None,)
    return version


def _undone_before(held: Assignment) -> int | None:
    """The undo that this judgment follows, so that every change of mind is one chain."""
    # By comparison alone, which has few rows; a person may have a hundred thousand.
    mine = [row for row in _OF_COMPARISON(comparison=held.comparison_id) if row[0] == held.annotator_id]
    return mine[-1][2] if mine and mine[-1][1] == Verdict.UNDONE else None


def _gold_score(held: Assignment, values: Mapping[str, Any], undone: int | None) -> float | None:
    """The score on a gold question. Who was told the right answer and then undid keeps the first score."""
    if held.comparison.rule != Comparison.Rule.GOLD:
        return None
    first = Ranking.objects.filter(superseded_by=undone).first() if undone else None
    if first is not None and feedback(first) is not None:
        return first.gold_score
    answer = _answer(held.comparison_id)
    return gold.score(answer, values["verdict"], {int(key): rank for key, rank in values["ranks"].items()})


def _answer(comparison_id: int) -> GoldAnswer:
    found = _ANSWER.first(comparison=comparison_id)
    if found is None:
        raise GoldAnswer.DoesNotExist(comparison_id)
    return found


def _store_improvement(ranking: Ranking) -> None:
    if ranking.improved_text:
        queue.add_completions(
            prompt=ranking.comparison.prompt,
            texts=[ranking.improved_text],
            source=Completion.Source.EDITED,
            iteration=ranking.comparison.iteration,
            author=ranking.annotator,
        )


def _remove_improvement(ranking: Ranking) -> None:
    """Take back the text that came with an undone judgment, unless it is being compared already."""
    if ranking.improved_text:
        Completion.objects.filter(
            prompt=ranking.comparison.prompt_id,
            text_hash=hash_text(ranking.improved_text),
            source=Completion.Source.EDITED,
            author=ranking.annotator_id,
            slots=None,
        ).delete()
