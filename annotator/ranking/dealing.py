"""What a person gets beside the queue: the qualification round, gold questions, hidden repeats.

Both are comparison rows of their own and look like all others to whoever judges them. They cost the
claim nothing when the dice say "the queue", and bounded reads by index when they do not.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from django.db import transaction
from django.db.models import Exists, OuterRef, QuerySet
from django.utils import timezone

from annotator.models import (
    Assignment,
    Comparison,
    Completion,
    Membership,
    Project,
    Ranking,
    Role,
    Slot,
    User,
    Verdict,
)
from annotator.prepared import Given, Insert, Select, an_id
from annotator.quality import watch

State = Assignment.State
Rule = Comparison.Rule

chance = random.Random()

LATEST = 200
"""How many of somebody's latest judgments a repeat is chosen from."""
FEWEST = 10
"""Judgments before the first repeat."""
APART = 5
"""Judgments between a comparison and its repeat."""


@dataclass(frozen=True)
class Dealt:
    """A comparison for one person, and the order in which it is shown; none: at random."""

    comparison: Comparison
    order: Sequence[int] = ()


@dataclass(frozen=True)
class Standing:
    """How far somebody has come in the qualification round."""

    scores: list[float]
    held: int
    skipped: int
    fresh: list[tuple[int, int]]
    """Gold questions (with their prompts) that they have not seen."""

    def needed(self, questions: int) -> int:
        return min(questions, len(self.scores) + self.held + self.skipped + len(self.fresh))

    def share(self, questions: int) -> float:
        """Mean score; a skipped question counts as a wrong answer where there are no others left."""
        asked = max(len(self.scores), self.needed(questions))
        return sum(self.scores) / asked if asked else 1.0


def drawn(project: Project, chance: random.Random) -> Rule | None:
    """What is put in front of the queue this time; None: nothing."""
    if not project.gold_rate and not project.repeat_rate:
        return None
    dice = chance.random()
    if dice < project.gold_rate:
        return Rule.GOLD
    return Rule.REPEAT if dice < project.gold_rate + project.repeat_rate else None


def deal(
    rule: Rule, annotator: User, project: Project, last_prompt: int | None, chance: random.Random
) -> Dealt | None:
    """A gold question or a repeat for this person, never of the prompt they have just had."""
    if rule == Rule.REPEAT:
        return _repeat(annotator, project, last_prompt, chance)
    others = [pk for pk, prompt in _fresh_gold(annotator, project) if prompt != last_prompt]
    return Dealt(_read(chance.choice(others))) if others else None


def must_qualify(membership: Membership, annotator: User, project: Project) -> bool:
    """Whether only gold questions are for this person, until they have shown that they can judge."""
    return (
        project.qualification_questions > 0
        and membership.qualified_at is None
        and membership.role == Role.ANNOTATOR
        and not annotator.is_simulated
    )


def deal_to_qualify(membership: Membership, annotator: User, chance: random.Random) -> Dealt | None:
    """The next gold question of the round; None while the last answers are out, and when it is over.

    Then the membership is qualified or paused.
    """
    project = membership.project
    standing = _standing(annotator, project)
    if len(standing.scores) + standing.held >= standing.needed(project.qualification_questions):
        _decide(membership, standing)
        return None
    last = Assignment.objects.filter(annotator=annotator).order_by("-pk")
    last_prompt = last.values_list("comparison__prompt", flat=True).first()
    others = [pk for pk, prompt in standing.fresh if prompt != last_prompt]
    fresh = others or [pk for pk, _ in standing.fresh]
    if not fresh:
        _decide(membership, standing)
        return None
    return Dealt(_read(chance.choice(fresh)))


@dataclass(frozen=True)
class Round:
    """Where somebody stands in the qualification round: at which question of how many."""

    at: int
    of: int


def round_of(membership: Membership) -> Round | None:
    """The round that the person is in, if they are in one; what they hold counts."""
    project, annotator = membership.project, membership.user
    if not must_qualify(membership, annotator, project):
        return None
    standing = _standing(annotator, project)
    of = standing.needed(project.qualification_questions)
    return Round(min(of, len(standing.scores) + standing.held), of) if of else None


def settle(annotator: User, project: Project) -> None:
    """End the qualification round of this person if their last answer was in it."""
    if not project.qualification_questions or annotator.is_simulated:
        return
    membership = Membership.objects.filter(user=annotator, project=project).select_related("user").first()
    if membership is None or not must_qualify(membership, annotator, project):
        return
    membership.project = project
    standing = _standing(annotator, project)
    if len(standing.scores) >= standing.needed(project.qualification_questions) or not standing.fresh:
        _decide(membership, standing)


def was_qualifying(ranking: Ranking) -> bool:
    """Whether the judgment was given in its person's qualification round."""
    project = ranking.comparison.project
    membership = Membership.objects.filter(user=ranking.annotator_id, project=project).first()
    if membership is None or membership.role != Role.ANNOTATOR or not project.qualification_questions:
        return False
    return membership.qualified_at is None or ranking.created_at <= membership.qualified_at


def _standing(annotator: User, project: Project) -> Standing:
    asked = list(Comparison.objects.gold().filter(project=project).values_list("pk", flat=True))
    scores = Ranking.objects.live().filter(
        annotator=annotator, comparison__in=asked, gold_score__isnull=False
    )
    states = Assignment.objects.filter(
        annotator=annotator, comparison__in=asked, state__in=[State.LEASED, State.SKIPPED]
    )
    seen = list(states.values_list("state", flat=True))
    return Standing(
        scores=[score for score in scores.values_list("gold_score", flat=True) if score is not None],
        held=seen.count(State.LEASED),
        skipped=seen.count(State.SKIPPED),
        fresh=_fresh_gold(annotator, project),
    )


@transaction.atomic
def _decide(membership: Membership, standing: Standing) -> None:
    """Qualified or paused, once all answers are in."""
    project = membership.project
    if standing.held:
        return
    mean = standing.share(project.qualification_questions)
    if mean >= project.pass_share:
        now = timezone.now()
        Membership.objects.filter(pk=membership.pk).update(qualified_at=now)
        membership.qualified_at = now
        return
    facts: dict[str, Any] = {
        "mean": round(mean, 3),
        "of": len(standing.scores),
        "pass_share": project.pass_share,
    }
    watch.fail_qualification(membership, facts)


def _fresh_gold(annotator: User, project: Project) -> list[tuple[int, int]]:
    """Gold questions that this person may still be given, with their prompts, in the order of their ids."""
    return _FRESH_GOLD(annotator=annotator.pk, project=project.pk)


def _repeat(
    annotator: User, project: Project, last_prompt: int | None, chance: random.Random
) -> Dealt | None:
    """An earlier comparison of this person's, to be asked again in the reverse of the order shown then."""
    for let_go in _LET_GO(annotator=annotator.pk, project=project.pk):
        if let_go.prompt_id != last_prompt:
            return Dealt(let_go, let_go.assignments.order_by("-pk").values_list("order", flat=True)[0])
    judged = _judged_in_queue(annotator, project)
    if len(judged) < FEWEST:
        return None
    asked = {pk for (pk,) in _REPEATED(annotator=annotator.pk)}
    own = {prompt for (prompt,) in _WRITTEN_FOR(annotator=annotator.pk)}
    rows = [
        row
        for row in judged[APART:]
        if row.comparison not in asked
        and row.comparison__prompt not in {last_prompt, *own}
        and not row.comparison__is_closed
        and len(set(row.ranks.values())) > 1
    ]
    if not rows:
        return None
    row = chance.choice(rows)
    return Dealt(_copy(_read(row.comparison), annotator), row.order[::-1])


class _Judged(NamedTuple):
    """What can be asked again, of a ranking."""

    comparison: int
    ranks: dict[str, int]
    order: list[int]
    verdict: str
    is_live: bool
    is_adjudication: bool
    comparison__prompt: int
    comparison__project: int
    comparison__is_closed: bool
    comparison__is_queued: bool


_NEWEST = Select(
    lambda: (
        Ranking.objects.filter(annotator=an_id("annotator"))
        .order_by("-pk")
        .values_list(*_Judged._fields)[:LATEST]
    )
)


def _judged_in_queue(annotator: User, project: Project) -> list[_Judged]:
    """The person's ranked judgments in this project's queue among their latest, newest first."""
    return [
        row
        for row in map(_Judged._make, _NEWEST(annotator=annotator.pk))
        if row.is_live
        and row.verdict == Verdict.RANKED
        and not row.is_adjudication
        and row.comparison__is_queued
        and row.comparison__project == project.pk
    ]


def _copy(original: Comparison, annotator: User) -> Comparison:
    """A comparison of the same texts for this one person, once."""
    repeat = Comparison(
        project_id=original.project_id,
        prompt=original.prompt,
        completions_key=original.completions_key,
        rule=Rule.REPEAT,
        iteration=original.iteration,
        is_queued=False,
        reserved_for=annotator,
        repeats=original,
        created_at=timezone.now(),
    )
    (repeat.pk,) = _STORE(**repeat.__dict__)
    for completion_id, position in _SLOTS(comparison=original.pk):
        _STORE_SLOT(comparison_id=repeat.pk, completion_id=completion_id, position=position)
    return repeat


def untouched(rows: QuerySet[Comparison], annotator: User | Given) -> QuerySet[Comparison]:
    """Those that the person neither holds nor has judged or skipped, of prompts they have not written for.

    Asked for each row on the way down its index, so that a long history costs nothing.
    """
    # A live ranking always has a submitted assignment.
    done = Assignment.objects.filter(
        comparison=OuterRef("pk"),
        annotator=annotator,
        state__in=[State.LEASED, State.SUBMITTED, State.SKIPPED],
    )
    written = Completion.objects.filter(prompt=OuterRef("prompt"), author=annotator)
    return rows.filter(~Exists(done), ~Exists(written))


def _read(pk: int) -> Comparison:
    found = _ONE.first(comparison=pk)
    if found is None:
        raise Comparison.DoesNotExist(pk)
    return found


def _latest_judged(field: str) -> Any:
    """A subquery of this field of the person's latest judgments."""
    return Ranking.objects.filter(annotator=an_id("annotator")).order_by("-pk").values(field)[:LATEST]


_ONE = Select(lambda: Comparison.objects.select_related("prompt").filter(pk=an_id("comparison")))
_SLOTS = Select(
    lambda: Slot.objects.filter(comparison=an_id("comparison")).values_list("completion", "position")
)
_STORE, _STORE_SLOT = Insert(Comparison), Insert(Slot)
_FRESH_GOLD = Select(
    lambda: (
        untouched(Comparison.objects.gold(), an_id("annotator"))
        .filter(project=an_id("project"), is_closed=False)
        .order_by("pk")
        .values_list("pk", "prompt")
    )
)
_LET_GO = Select(
    lambda: (
        untouched(Comparison.objects.repeats_waiting(), an_id("annotator"))
        .filter(reserved_for=an_id("annotator"), project=an_id("project"))
        .select_related("prompt")
        .order_by("pk")[:LATEST]
    )
)
_REPEATED = Select(
    lambda: Comparison.objects.filter(
        reserved_for=an_id("annotator"), repeats__in=_latest_judged("comparison")
    ).values_list("repeats")
)
_WRITTEN_FOR = Select(
    lambda: Completion.objects.filter(
        author=an_id("annotator"), prompt__in=_latest_judged("comparison__prompt")
    ).values_list("prompt")
)
