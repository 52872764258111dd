"""Holds on comparisons: taking a place, keeping it, giving it back.

A comparison's `judgments_taken` counts its live rankings and live leases; it only ever changes by a
conditional UPDATE, so that an overlap of N means exactly N.
"""

from __future__ import annotations

from collections import Counter
from datetime import timedelta
from typing import Any

from django.db import connection, models, transaction
from django.db.models import F, QuerySet
from django.db.models.functions import Now
from django.utils import timezone

from annotator.models import Assignment, Comparison, Completion, Project, User
from annotator.prepared import Given, Insert, Select, Update, an_id

State = Assignment.State
BATCH = 500


_TAKE_PLACE = Update(
    lambda: Comparison.objects.filter(
        pk=an_id("comparison"), is_closed=False, judgments_taken__lt=F("judgments_wanted")
    ),
    judgments_taken=F("judgments_taken") + 1,
)
_LEASE = Insert(
    Assignment,
    returning=("id", "leased_until"),
    leased_until=Now() + Given("lease", models.DurationField()),
)
_TEXTS = Select(lambda: Completion.objects.filter(slots__comparison=an_id("comparison")))
_OF_PERSON = Select(
    lambda: Assignment.objects.filter(
        pk=an_id("assignment"), annotator=an_id("annotator"), comparison__project=an_id("project")
    )
)
_AN_EXPIRED = Select(lambda: expired().values_list("pk")[:1])


def lease(comparison: Comparison, annotator: User, order: list[int]) -> Assignment | None:
    """The comparison leased to the person, shown in this order; None if it wants no more judgments."""
    if not take_place(comparison.pk):
        return None
    values = {"state": State.LEASED, "order": order, "skip_reason": "", "created_at": timezone.now()}
    pk, until = _LEASE(
        **values,
        comparison_id=comparison.pk,
        annotator_id=annotator.pk,
        lease=timedelta(seconds=comparison.project.lease_seconds),
    )
    return Assignment(pk=pk, comparison=comparison, annotator=annotator, leased_until=until, **values)


def assignment_of(annotator: User, project: Project, pk: int) -> Assignment | None:
    """The person's assignment in this project with that id, leased or not."""
    return _OF_PERSON.first(assignment=pk, annotator=annotator.pk, project=project.pk)


def shown(assignment: Assignment) -> list[Completion]:
    """The texts of its comparison, in the order in which the person sees them."""
    texts = {completion.pk: completion for completion in _TEXTS(comparison=assignment.comparison_id)}
    return [texts[pk] for pk in assignment.order]


def renew(assignment: Assignment) -> bool:
    """Start the lease anew; False if it has been lost already."""
    seconds = assignment.comparison.project.lease_seconds
    kept = Assignment.objects.filter(pk=assignment.pk, state=State.LEASED).update(
        leased_until=Now() + timedelta(seconds=seconds)
    )
    if kept:
        assignment.refresh_from_db(fields=["leased_until"])
    return bool(kept)


def release(assignment: Assignment) -> bool:
    """Let the comparison go, to anybody (also the same person); False if it was not leased."""
    return end_lease(assignment, State.RELEASED)


def release_all(annotator: User, project: Project) -> None:
    """Let everything go that the person holds in the project."""
    for held in Assignment.objects.filter(
        annotator=annotator, comparison__project=project, state=State.LEASED
    ):
        release(held)


def held() -> QuerySet[Assignment]:
    """All leases that hold their place, the expired ones too."""
    # The second condition is always true; with it SQLite finds the index that holds nothing else.
    return Assignment.objects.filter(state=State.LEASED, leased_until__isnull=False)


def expired() -> QuerySet[Assignment]:
    """The leases that have ended and still hold their place."""
    return Assignment.objects.filter(state=State.LEASED, leased_until__lte=Now())


def is_one_expired() -> bool:
    """Whether there is anything to sweep."""
    return _AN_EXPIRED.first() is not None


def sweep_expired(limit: int = BATCH) -> int:
    """Give back the comparisons whose lease has ended; the number of leases that ended."""
    with transaction.atomic():
        ended = list(locked(expired().order_by("leased_until"), skip=True)[:limit])
        Assignment.objects.filter(pk__in=[held.pk for held in ended]).update(state=State.EXPIRED)
        # In the order of their ids, so that two sweeps cannot wait for each other.
        for comparison_id, places in sorted(Counter(held.comparison_id for held in ended).items()):
            give_back(comparison_id, places)
    return len(ended)


def end_lease(assignment: Assignment, state: Assignment.State, **values: Any) -> bool:
    """Turn a lease into `state` and give its place back; False if it was no lease any more."""
    with transaction.atomic():
        ended = Assignment.objects.filter(pk=assignment.pk, state=State.LEASED).update(state=state, **values)
        if ended:
            give_back(assignment.comparison_id)
            assignment.state = state
    return bool(ended)


def take_place(comparison_id: int) -> bool:
    """Count one more judgment or lease, if the comparison (queued or not) still wants one."""
    return bool(_TAKE_PLACE(comparison=comparison_id))


def give_back(comparison_id: int, places: int = 1) -> None:
    """Count judgments or leases that ended."""
    Comparison.objects.filter(pk=comparison_id).update(judgments_taken=F("judgments_taken") - places)


def locked(rows: QuerySet[Any], *, skip: bool = False) -> QuerySet[Any]:
    """The same rows, locked where the database locks rows; SQLite holds the whole database here."""
    features = connection.features
    if not features.has_select_for_update:
        return rows
    return rows.select_for_update(
        of=("self",), no_key=True, skip_locked=skip and features.has_select_for_update_skip_locked
    )
