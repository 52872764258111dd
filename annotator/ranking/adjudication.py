"""A manager's decision where annotators disagreed: a judgment of its own that stands in place of theirs.

Nobody's judgment is changed. The decision takes a place beyond those that were wanted, so that it
neither uses up an annotator's nor leaves one more to fill.
"""

from __future__ import annotations

from django.db import IntegrityError, transaction
from django.db.models import F
from django.db.models.functions import Now
from django.utils.translation import gettext as _

from annotator.models import Assignment, Comparison, Ranking, User, Verdict
from annotator.ranking import queue
from annotator.ranking.judgments import InvalidJudgment, Judgment, checked

State = Assignment.State


def adjudicate(*, comparison: Comparison, manager: User, judgment: Judgment, idempotency_key: str) -> Ranking:
    """Store the manager's decision. Raises InvalidJudgment, and then stores nothing.

    The same manager and key give the same row again.
    """
    _check_key(idempotency_key)
    try:
        with transaction.atomic():
            return _decide(comparison, manager, judgment, idempotency_key)
    except IntegrityError:
        return _twin(manager, idempotency_key, comparison)


def withdraw(*, comparison: Comparison, manager: User, idempotency_key: str) -> Ranking:
    """Take the decision back, whichever manager made it: the annotators' judgments count again.

    The row that was added is returned. Raises InvalidJudgment where there is no decision.
    """
    _check_key(idempotency_key)
    try:
        with transaction.atomic():
            return _undo(comparison, manager, idempotency_key)
    except IntegrityError:
        return _twin(manager, idempotency_key, comparison)


def refusal(comparison: Comparison, manager: User) -> str:
    """Why this manager cannot decide this comparison; empty if they can."""
    if not comparison.is_queued:
        return _("Gold questions and repeats are about annotators. There is nothing to decide.")
    if comparison.is_adjudicated:
        return _("This comparison is decided already. Withdraw the decision first.")
    live = comparison.rankings.live()
    if live.filter(annotator=manager).exists():
        return _("You have judged this comparison yourself. Another manager must decide.")
    if not live.exists():
        return _("Nobody has judged this comparison yet.")
    return ""


def _decide(comparison: Comparison, manager: User, judgment: Judgment, key: str) -> Ranking:
    # Before the comparison is locked: whoever submits locks their assignment first, too.
    for lease in Assignment.objects.filter(comparison=comparison, annotator=manager, state=State.LEASED):
        queue.release(lease)
    row = _lock(comparison)
    if known := _by_key(manager, key, comparison):
        return known  # asked once it is locked: a twin may have been before us
    if reason := refusal(row, manager):
        raise InvalidJudgment(reason)
    if judgment.improved_text.strip():
        raise InvalidJudgment(_("A decision orders what was shown. It cannot add a text."))
    shown = list(row.slots.order_by("position").values_list("completion", flat=True))
    values = checked(judgment, row.project, shown)
    Comparison.objects.filter(pk=row.pk).update(
        judgments_wanted=F("judgments_wanted") + 1,
        judgments_taken=F("judgments_taken") + 1,
        is_adjudicated=True,
    )
    assignment = Assignment.objects.create(
        comparison=row, annotator=manager, state=State.SUBMITTED, order=shown, leased_until=Now()
    )
    guideline = row.project.guideline
    return Ranking.objects.create(
        comparison=row,
        assignment=assignment,
        annotator=manager,
        order=shown,
        guideline_version=guideline.version if guideline else None,
        idempotency_key=key,
        supersedes=_withdrawn_before(row),
        is_simulated=manager.is_simulated,
        is_adjudication=True,
        **values,
    )


def _undo(comparison: Comparison, manager: User, key: str) -> Ranking:
    row = _lock(comparison)
    if known := _by_key(manager, key, comparison):
        return known
    decision = row.rankings.live().filter(is_adjudication=True).first()
    if decision is None:
        raise InvalidJudgment(_("There is no decision to withdraw."))
    Ranking.objects.filter(pk=decision.pk).update(is_live=False)
    Assignment.objects.filter(pk=decision.assignment_id).update(state=State.RELEASED)
    Comparison.objects.filter(pk=row.pk).update(
        judgments_wanted=F("judgments_wanted") - 1,
        judgments_taken=F("judgments_taken") - 1,
        is_adjudicated=False,
    )
    return Ranking.objects.create(
        comparison=row,
        assignment=decision.assignment,
        annotator=manager,
        verdict=Verdict.UNDONE,
        order=decision.order,
        idempotency_key=key,
        supersedes=decision,
        is_live=False,
        is_simulated=manager.is_simulated,
        is_adjudication=True,
    )


def _withdrawn_before(comparison: Comparison) -> Ranking | None:
    """The withdrawal that this decision follows, so that every change of mind is one chain."""
    undone = comparison.rankings.filter(is_adjudication=True, verdict=Verdict.UNDONE)
    return undone.filter(superseded_by=None).order_by("-pk").first()


def _lock(comparison: Comparison) -> Comparison:
    rows = Comparison.objects.select_related("project")
    row: Comparison = queue.locked(rows).get(pk=comparison.pk)
    return row


def _check_key(key: str) -> None:
    if not 0 < len(key) <= 64:
        raise InvalidJudgment(_("The key of a judgment has 1 to 64 characters."))


def _by_key(manager: User, key: str, comparison: Comparison) -> Ranking | None:
    known = Ranking.objects.filter(annotator=manager, idempotency_key=key).first()
    if known is not None and not (known.is_adjudication and known.comparison_id == comparison.pk):
        raise InvalidJudgment(_("This key was used for another judgment."))
    return known


def _twin(manager: User, key: str, comparison: Comparison) -> Ranking:
    """The row of the same request that won the race."""
    known = _by_key(manager, key, comparison)
    if known is None:
        raise InvalidJudgment(_("This comparison was judged meanwhile. Look at it again."))
    return known
