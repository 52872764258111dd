"""The queue: which comparison is whose turn, and how completions and comparisons get into it.

A claim is one short transaction. A comparison's `judgments_taken` counts its live rankings and
live leases; it only ever changes by a conditional UPDATE, so that an overlap of N means exactly N.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from django.db import connection, transaction
from django.db.models import Exists, F, OuterRef, QuerySet
from django.db.models.functions import Now

from annotator.access import membership_of
from annotator.models import (
    Assignment,
    Comparison,
    Completion,
    Project,
    Prompt,
    Slot,
    User,
    hash_text,
)

State = Assignment.State
BATCH = 500


@dataclass(frozen=True)
class NewComparison:
    """Completions of one prompt to be shown together, and why they were chosen."""

    prompt_id: int
    completion_ids: tuple[int, ...]
    priority: float = 0.0
    rule: str = Comparison.Rule.RANDOM


def claim_next(*, annotator: User, project: Project, holding: Collection[int] = ()) -> Assignment | None:
    """The annotator's next assignment, leased for `project.lease_seconds`; None if there is none.

    A live lease of theirs whose id is not in `holding` comes first (the oldest: what an undo gave
    back, what a reload lost). Otherwise the open comparison of the highest priority is claimed that
    they have neither judged nor skipped nor hold, and whose prompt they have not written for; it is
    of another prompt than their last one wherever possible. People who are paused get None.
    """
    membership = membership_of(annotator, project)
    if membership is None and not annotator.is_superuser:
        return None
    if membership is not None and membership.paused_at is not None:
        return None
    if _expired().exists():
        sweep_expired()
    with transaction.atomic():
        _lock(annotator)
        held = (
            Assignment.objects.filter(
                annotator=annotator,
                state=State.LEASED,
                leased_until__gt=Now(),
                comparison__project=project,
            )
            .exclude(pk__in=holding)
            .select_related("comparison__prompt", "comparison__project")
            .order_by("pk")
            .first()
        )
        return held or _claim_new(annotator, project)


def open_for(annotator: User, project: Project) -> QuerySet[Comparison]:
    """The open comparisons that this person may still be given, the next one first.

    Walks down the index of the open ones, and asks for each row what this person has done with it.
    """
    # A live ranking always has a submitted assignment.
    done = Assignment.objects.filter(
        comparison=OuterRef("pk"),
        annotator=annotator,
        state__in=[State.LEASED, State.SUBMITTED, State.SKIPPED],
    )
    written = Completion.objects.filter(prompt=OuterRef("prompt"), author=annotator)
    rows = Comparison.objects.open().filter(~Exists(done), ~Exists(written), project=project)
    return rows.order_by("-priority", "pk")


def renew(assignment: Assignment) -> bool:
    """Start the lease anew; False if it has been lost already."""
    lease = assignment.comparison.project.lease_seconds
    kept = Assignment.objects.filter(pk=assignment.pk, state=State.LEASED).update(
        leased_until=Now() + timedelta(seconds=lease)
    )
    if kept:
        assignment.refresh_from_db(fields=["leased_until"])
    return bool(kept)


def release(assignment: Assignment) -> bool:
    """Let the comparison go, to anybody (also the same person); False if it was not leased."""
    return end_lease(assignment, State.RELEASED)


def sweep_expired(limit: int = BATCH) -> int:
    """Give back the comparisons whose lease has ended; the number of leases that ended."""
    with transaction.atomic():
        ended = list(locked(_expired().order_by("leased_until"), skip=True)[:limit])
        Assignment.objects.filter(pk__in=[lease.pk for lease in ended]).update(state=State.EXPIRED)
        # In the order of their ids, so that two sweeps cannot wait for each other.
        for comparison_id, leases in sorted(Counter(lease.comparison_id for lease in ended).items()):
            give_back(comparison_id, leases)
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
    """Count one more judgment or lease, if the comparison still wants one."""
    still_open = Comparison.objects.open().filter(pk=comparison_id)
    return bool(still_open.update(judgments_taken=F("judgments_taken") + 1))


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


@transaction.atomic
def add_completions(
    *,
    prompt: Prompt,
    texts: Sequence[str],
    source: str,
    iteration: int,
    author: User | None = None,
) -> list[Completion]:
    """The prompt's completions with these texts, one for each and in their order.

    A text that the prompt has already is not stored again, its row is returned unchanged; equal
    texts give the same row twice. Raises ValueError on an empty text.
    """
    if not all(text.strip() for text in texts):
        raise ValueError(f"an empty completion for prompt {prompt.pk}")
    new = {
        hash_text(text): Completion(
            prompt=prompt, text=text.strip(), source=source, iteration=iteration, author=author
        )
        for text in reversed(texts)
    }
    for completion in new.values():
        completion.fill_in()
    Completion.objects.bulk_create(reversed(new.values()), ignore_conflicts=True, batch_size=BATCH)
    stored = {row.text_hash: row for row in Completion.objects.filter(prompt=prompt, text_hash__in=list(new))}
    return [stored[hash_text(text)] for text in texts]


@transaction.atomic
def add_comparisons(*, project: Project, comparisons: Iterable[NewComparison], iteration: int) -> int:
    """Put comparisons into the queue; the number that was new.

    The same completions under the same rule are asked only once. Raises ValueError, and stores
    nothing, if one has not 2 to 9 different completions of one prompt of this project.
    """
    locked(Project.objects.filter(pk=project.pk)).get()  # two at once must not both find a set missing
    added = 0
    wanted = list(dict.fromkeys(comparisons))
    for start in range(0, len(wanted), BATCH):
        added += _add_batch(project, wanted[start : start + BATCH], iteration)
    return added


def _add_batch(project: Project, batch: list[NewComparison], iteration: int) -> int:
    _check(project, batch)
    rows = {
        (new.prompt_id, _key(new), str(new.rule)): (
            Comparison(
                project=project,
                prompt_id=new.prompt_id,
                completions_key=_key(new),
                rule=new.rule,
                priority=new.priority,
                iteration=iteration,
                judgments_wanted=project.judgments_wanted,
            ),
            new.completion_ids,
        )
        for new in reversed(batch)
    }
    known = Comparison.objects.filter(project=project, prompt_id__in={new.prompt_id for new in batch})
    for key in known.values_list("prompt_id", "completions_key", "rule"):
        rows.pop(key, None)
    fresh = list(reversed(rows.values()))
    Comparison.objects.bulk_create([comparison for comparison, _ in fresh])
    Slot.objects.bulk_create(
        Slot(comparison=comparison, completion_id=completion_id, position=position)
        for comparison, completion_ids in fresh
        for position, completion_id in enumerate(completion_ids, start=1)
    )
    return len(fresh)


def _check(project: Project, batch: list[NewComparison]) -> None:
    prompts = set(
        Prompt.objects.filter(project=project, pk__in={new.prompt_id for new in batch}).values_list(
            "pk", flat=True
        )
    )
    ids = {completion_id for new in batch for completion_id in new.completion_ids}
    prompt_of = dict(Completion.objects.filter(pk__in=ids).values_list("pk", "prompt_id"))
    for new in batch:
        if new.rule in (Comparison.Rule.GOLD, Comparison.Rule.REPEAT):
            raise ValueError(f"a {new.rule} comparison is not queued but dealt out beside the queue")
        if new.prompt_id not in prompts:
            raise ValueError(f"prompt {new.prompt_id} is not one of project {project.slug}")
        if not 2 <= len(set(new.completion_ids)) == len(new.completion_ids) <= 9:
            raise ValueError(f"a comparison needs 2 to 9 different completions, not {new.completion_ids}")
        if any(prompt_of.get(completion_id) != new.prompt_id for completion_id in new.completion_ids):
            raise ValueError(f"completions {new.completion_ids} are not all of prompt {new.prompt_id}")


def _key(new: NewComparison) -> str:
    return ",".join(str(completion_id) for completion_id in sorted(new.completion_ids))


def _expired() -> QuerySet[Assignment]:
    return Assignment.objects.filter(state=State.LEASED, leased_until__lte=Now())


def _lock(annotator: User) -> None:
    """One claim of a person at a time, so that two of their tabs never get the same comparison."""
    if connection.features.has_select_for_update:
        locked(User.objects.only("pk")).get(pk=annotator.pk)


def _claim_new(annotator: User, project: Project) -> Assignment | None:
    comparison = _best_for(annotator, project)
    if comparison is None or not take_place(comparison.pk):
        return None
    comparison.project = project
    order = [int(completion_id) for completion_id in comparison.completions_key.split(",")]
    random.shuffle(order)
    assignment = Assignment.objects.create(
        comparison=comparison,
        annotator=annotator,
        order=order,
        leased_until=Now() + timedelta(seconds=project.lease_seconds),
    )
    assignment.refresh_from_db(fields=["leased_until"])
    return assignment


def _best_for(annotator: User, project: Project) -> Comparison | None:
    """The best open comparison for this person, locked; of another prompt than the last, if there is one."""
    rows = open_for(annotator, project).select_related("prompt")
    last_prompt = (
        Assignment.objects.filter(annotator=annotator)
        .order_by("-pk")
        .values_list("comparison__prompt", flat=True)
        .first()
    )
    other = _first(rows.exclude(prompt=last_prompt)) if last_prompt else None
    return other or _first(rows)


def _first(rows: QuerySet[Comparison]) -> Comparison | None:
    """The first row that nobody else is taking, locked; where they take all, wait for what they leave."""
    free: Comparison | None = locked(rows, skip=True).first()
    if free is not None or not connection.features.has_select_for_update:
        return free
    return locked(rows).first()
