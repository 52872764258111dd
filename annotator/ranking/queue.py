"""The queue: which comparison is whose turn, and how completions and comparisons get into it.

A claim is one short transaction. What a person holds is in `leases`, gold questions and repeats in
`dealing`.
"""

from __future__ import annotations

import random
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass

from django.db import connection, transaction
from django.db.models import QuerySet
from django.db.models.functions import Now

from annotator.access import membership_of
from annotator.models import (
    Assignment,
    Comparison,
    Completion,
    Membership,
    Project,
    Prompt,
    Slot,
    User,
    hash_text,
)
from annotator.prepared import Given, Select, an_id
from annotator.ranking import asking, dealing, leases
from annotator.ranking.leases import (
    end_lease,
    give_back,
    is_one_expired,
    locked,
    release,
    renew,
    sweep_expired,
    take_place,
)

__all__ = [
    "NewComparison",
    "add_comparisons",
    "add_completions",
    "claim_next",
    "end_lease",
    "give_back",
    "locked",
    "open_for",
    "release",
    "renew",
    "sweep_expired",
    "take_place",
    "why_nothing",
]

State = Assignment.State
BATCH = 500


@dataclass(frozen=True)
class NewComparison:
    """Completions of one prompt to be shown together, and why they were chosen."""

    prompt_id: int
    completion_ids: tuple[int, ...]
    priority: float = 0.0
    rule: str = Comparison.Rule.RANDOM


def claim_next(
    *,
    annotator: User,
    project: Project,
    holding: Collection[int] = (),
    membership: Membership | None = None,
    chance: random.Random = dealing.chance,
) -> Assignment | None:
    """The annotator's next assignment, leased for `project.lease_seconds`; None if there is none.

    A live lease of theirs whose id is not in `holding` comes first (the oldest: what an undo gave
    back, what a reload lost). Otherwise the open comparison of the highest priority is claimed that
    they have neither judged nor skipped nor hold, and whose prompt they have not written for; it is
    of another prompt than their last one wherever possible. People who are paused (or whose project is)
    get None, and so do those who are not asked just now (see `asking`).
    `membership` is theirs, where it has just been read.
    `chance` decides when a gold question or a repeat is put in front of it (see `dealing`).
    """
    membership = membership or membership_of(annotator, project)
    if membership is None and not annotator.is_superuser:
        return None
    if is_paused(project, membership):
        return None
    if is_one_expired():
        sweep_expired()
    with transaction.atomic():
        _lock(annotator)
        held = [pk for (pk,) in _HELD(annotator=annotator.pk, project=project.pk) if pk not in holding]
        if held:
            return Assignment.objects.select_related("comparison__prompt", "comparison__project").get(
                pk=held[0]
            )
        if membership is not None and dealing.must_qualify(membership, annotator, project):
            membership.project = project
            dealt = _claim_to_qualify(membership, annotator, chance)
            if dealt is not None or membership.qualified_at is None:
                return dealt
        if membership is not None and not asking.is_asked(membership, annotator, project):
            return None
        return _claim_new(annotator, project, chance)


def is_paused(project: Project, membership: Membership | None) -> bool:
    """Whether nothing is handed out: to nobody in the project, or not to this member of it."""
    return project.paused_at is not None or (membership is not None and membership.paused_at is not None)


def open_for(annotator: User, project: Project) -> QuerySet[Comparison]:
    """The open comparisons that this person may still be given, the next one first."""
    return open_to(annotator, project)


def open_to(annotator: User | Given, project: Project | Given) -> QuerySet[Comparison]:
    """The same, also for a person and a project that are given when the query runs.

    Walks down the index of the open ones, and asks for each row what this person has done with it.
    """
    rows = dealing.untouched(Comparison.objects.open(), annotator).filter(project=project)
    return rows.order_by("-priority", "pk")


def why_nothing(annotator: User, project: Project, membership: Membership | None) -> dict[str, str]:
    """Headers of "nothing": Retry-After in seconds, where something waits that only others are asked."""
    if membership is None or asking.is_asked(membership, annotator, project):
        return {}
    if not _ANY_OPEN.first(annotator=annotator.pk, project=project.pk):
        return {}
    return {"Retry-After": str(asking.seconds_left())}


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


def _lock(annotator: User) -> None:
    """One claim of a person at a time, so that two of their tabs never get the same comparison."""
    if connection.features.has_select_for_update:
        locked(User.objects.only("pk")).get(pk=annotator.pk)


def _claim_new(annotator: User, project: Project, chance: random.Random) -> Assignment | None:
    """A lease on the best open comparison, or on a gold question or repeat put in front of it."""
    (last_prompt,) = _LAST_PROMPT.first(annotator=annotator.pk) or (None,)
    rule = dealing.drawn(project, chance)
    if rule is not None and _ANY_OPEN.first(annotator=annotator.pk, project=project.pk):
        dealt = dealing.deal(rule, annotator, project, last_prompt, chance)
        if dealt is not None:
            return _lease(dealt, annotator, project)
    comparison = _best_for(annotator, project, last_prompt)
    return _lease(dealing.Dealt(comparison), annotator, project) if comparison else None


def _claim_to_qualify(membership: Membership, annotator: User, chance: random.Random) -> Assignment | None:
    dealt = dealing.deal_to_qualify(membership, annotator, chance)
    return _lease(dealt, annotator, membership.project) if dealt else None


def _lease(dealt: dealing.Dealt, annotator: User, project: Project) -> Assignment | None:
    comparison = dealt.comparison
    comparison.project = project
    order = list(dealt.order)
    if not order:
        order = [int(completion_id) for completion_id in comparison.completions_key.split(",")]
        random.shuffle(order)
    return leases.lease(comparison, annotator, order)


def _best_for(annotator: User, project: Project, last_prompt: int | None) -> Comparison | None:
    """The best open comparison for this person, locked; of another prompt than the last, if there is one.

    That is the first which nobody else is taking; where they take all, it waits for what they leave.
    """
    given = {"annotator": annotator.pk, "project": project.pk, "prompt": last_prompt}
    locks = connection.features.has_select_for_update
    for best, waiting in ((_BEST_OTHER, _BEST_OTHER_WAITING), (_BEST, _BEST_WAITING)):
        if best is _BEST_OTHER and last_prompt is None:
            continue
        comparison = best.first(**given) or (waiting.first(**given) if locks else None)
        if comparison is not None:
            return comparison
    return None


def _best(*, other: bool, skip: bool) -> Select[Comparison]:
    def build() -> QuerySet[Comparison]:
        rows = open_to(an_id("annotator"), an_id("project")).select_related("prompt")
        if other:
            rows = rows.exclude(prompt=an_id("prompt"))
        return locked(rows, skip=skip)[:1]

    return Select(build)


_ANY_OPEN = Select(lambda: open_to(an_id("annotator"), an_id("project")).values_list("pk")[:1])
_BEST_OTHER, _BEST_OTHER_WAITING = _best(other=True, skip=True), _best(other=True, skip=False)
_BEST, _BEST_WAITING = _best(other=False, skip=True), _best(other=False, skip=False)
_HELD = Select(
    lambda: (
        Assignment.objects.filter(
            annotator=an_id("annotator"),
            state=State.LEASED,
            leased_until__gt=Now(),
            comparison__project=an_id("project"),
        )
        .order_by("pk")
        .values_list("pk")
    )
)
_LAST_PROMPT = Select(
    lambda: (
        Assignment.objects.filter(annotator=an_id("annotator"))
        .order_by("-pk")
        .values_list("comparison__prompt")[:1]
    )
)
