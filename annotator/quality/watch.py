"""Whose work has to be paused, why, and how a pause is lifted.

Looks at an annotator's latest judgments after some of them: too fast, always the same place, gold
questions missed, contradicting themselves. Each test is one that somebody careful almost never meets.
"""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from datetime import datetime
from typing import Any, NamedTuple

from django.db import transaction
from django.db.models import OuterRef, QuerySet, Subquery
from django.utils import timezone
from django.utils.translation import gettext as _

from annotator import events
from annotator.access import membership_of
from annotator.models import Comparison, Membership, PauseKind, Ranking, Role, User, Verdict
from annotator.prepared import Select, an_id
from annotator.ranking import leases

chance = random.Random()

EVERY = 5
"""One in so many judgments is followed by a look at the person's pace and places."""
LATEST, TIMED, QUICK = 40, 20, 10
RARE = 1e-6
"""Somebody is looked at some hundred times a month: at 0.001 a look, careful people would be paused; at 1e-5,
one in a hundred after five thousand judgments."""
FEWEST_PLACED = 20
FEWEST_GOLD, LATEST_GOLD, READ_FOR_GOLD = 8, 20, 400
FEWEST_REPEATS, LATEST_REPEATS = 8, 40
CONSISTENT, RARELY_REPEATED = 0.75, 0.001
"""Careful people agree with themselves in about three of four close comparisons. Who can be told from
them (exact test, 0.1 %) within 40 repeats agrees with themselves no better than a coin."""


def after(ranking: Ranking) -> None:
    """Look at the person who has just given this judgment, if it is time to; pause them if need be."""
    comparison = ranking.comparison
    is_beside = not comparison.is_queued
    if ranking.is_simulated or not (is_beside or chance.random() * EVERY < 1):
        return
    project = comparison.project
    membership = membership_of(ranking.annotator, project)
    if not project.auto_pause or membership is None or membership.role != Role.ANNOTATOR:
        return
    membership.project, membership.user = project, ranking.annotator
    if membership.paused_at is None and (found := look(membership, deep=is_beside)):
        kind, facts = found
        _pause(membership, kind, facts=facts)


def look(membership: Membership, *, deep: bool = True) -> tuple[PauseKind, dict[str, Any]] | None:
    """The first reason to pause this annotator, with its figures; None where there is none.

    Only a gold question or a repeat, just answered, can bring what is looked for with `deep`.
    """
    rows = _latest(membership)
    places = [row for row in rows if row.verdict == Verdict.RANKED]
    if facts := too_fast([row.seconds for row in rows], membership.project.fewest_seconds):
        return PauseKind.TOO_FAST, facts
    if facts := one_place([(row.ranks, row.order) for row in places]):
        return PauseKind.POSITION, facts
    if not deep:
        return None
    if facts := gold_missed(_gold_scores(membership), membership.project.pass_share):
        return PauseKind.GOLD, facts
    if facts := contradictions(_repeats(membership)):
        return PauseKind.REPEATS, facts
    return None


def too_fast(seconds: Sequence[float | None], fewest: float) -> dict[str, Any] | None:
    """Half of the latest twenty timed judgments were faster than the project allows."""
    timed = [value for value in seconds if value is not None][:TIMED]
    quick = sum(value < fewest for value in timed)
    return {"quick": quick, "of": len(timed), "seconds": fewest} if quick >= QUICK else None


def one_place(judged: Sequence[tuple[dict[str, int], list[int]]]) -> dict[str, Any] | None:
    """The first text shown is the best much more, or much less, often than its place allows."""
    best = [
        (order.index(int(winners[0])), len(order)) for ranks, order in judged if (winners := _best(ranks))
    ]
    if not best:
        return None
    k = best[0][1]  # tests of one size only: a project rarely mixes them
    places = [place for place, size in best if size == k]
    first, n = places.count(0), len(places)
    if n < FEWEST_PLACED or two_sided(first, n, 1 / k) >= RARE:
        return None
    return {"first": first, "of": n, "shown": k}


def gold_missed(scores: Sequence[float], pass_share: float) -> dict[str, Any] | None:
    """The mean lies more than three standard errors under the share to be met.

    So somebody whose true share is just enough is almost never paused for bad luck: of eight questions
    with 0.7 to pass, one right is too few; of twenty, seven.
    """
    n = len(scores)
    if n < FEWEST_GOLD:
        return None
    share = min(max(pass_share, 0.05), 0.95)
    mean = sum(scores) / n
    if mean >= pass_share - 3 * math.sqrt(share * (1 - share) / n):
        return None
    return {"mean": round(mean, 3), "of": n, "pass_share": pass_share}


def contradictions(agreed: Sequence[bool]) -> dict[str, Any] | None:
    """Asked again, the person agrees with themselves no more often than a coin would."""
    n, same = len(agreed), sum(agreed)
    if n < FEWEST_REPEATS or binomial_at_most(same, n, CONSISTENT) >= RARELY_REPEATED:
        return None
    return {"agreed": same, "of": n}


def pause(membership: Membership, by: User | None, reason: str = "") -> bool:
    """A manager pauses somebody; False if they are paused already."""
    return _pause(membership, PauseKind.MANUAL, by=by, words=reason)


def fail_qualification(membership: Membership, facts: dict[str, Any]) -> bool:
    """The qualification round is over and was not passed."""
    return _pause(membership, PauseKind.QUALIFICATION, facts=facts)


@transaction.atomic
def lift(membership: Membership, by: User | None) -> bool:
    """Let somebody go on; what they judged before does not pause them again. False if not paused."""
    now = timezone.now()
    values: dict[str, Any] = {
        "paused_at": None,
        "pause_kind": "",
        "pause_reason": "",
        "pause_facts": {},
        "watched_from": now,
    }
    if membership.pause_kind == PauseKind.QUALIFICATION:
        values["qualified_at"] = now
    return _change(membership, values, "resumed", by, is_paused=True)


def reason(membership: Membership) -> str:
    """Why somebody is paused, for themselves and for managers, in the reader's language."""
    facts = membership.pause_facts
    match membership.pause_kind:
        case PauseKind.QUALIFICATION:
            text = _("The qualification round was not passed: %(share)s right, %(needed)s needed.")
            return text % {"share": _percent(facts["mean"]), "needed": _percent(facts["pass_share"])}
        case PauseKind.GOLD:
            text = _("Of the latest %(of)d checked answers, %(share)s were right. %(needed)s are needed.")
            return text % {
                "of": facts["of"],
                "share": _percent(facts["mean"]),
                "needed": _percent(facts["pass_share"]),
            }
        case PauseKind.REPEATS:
            text = _("Asked the same again, %(agreed)d of %(of)d answers agreed with the earlier ones.")
            return str(text % facts)
        case PauseKind.TOO_FAST:
            text = _("%(quick)d of the latest %(of)d judgments took less than %(seconds)s seconds.")
            return text % {**facts, "seconds": f"{facts['seconds']:g}"}
        case PauseKind.POSITION:
            text = _("The first of %(shown)d shown was called the best in %(first)d of %(of)d judgments.")
            return str(text % facts)
    return membership.pause_reason or _("Your work in this project is paused.")


def two_sided(successes: int, n: int, p: float) -> float:
    """The exact two-sided binomial test: the probability of all outcomes no likelier than this one."""
    weights = [math.comb(n, i) * p**i * (1 - p) ** (n - i) for i in range(n + 1)]
    return min(1.0, sum(weight for weight in weights if weight <= weights[successes] * (1 + 1e-7)))


def binomial_at_most(successes: int, n: int, p: float) -> float:
    """The probability of so many successes or fewer."""
    return sum(math.comb(n, i) * p**i * (1 - p) ** (n - i) for i in range(successes + 1))


class _Judged(NamedTuple):
    """What a look needs of a ranking."""

    verdict: str
    ranks: dict[str, int]
    order: list[int]
    seconds: float | None
    is_live: bool
    created_at: datetime
    comparison__project: int


_NEWEST = Select(
    lambda: (
        Ranking.objects.filter(annotator=an_id("annotator"))
        .order_by("-pk")
        .values_list(*_Judged._fields)[:LATEST]
    )
)


def _latest(membership: Membership) -> list[_Judged]:
    """The person's latest live judgments in the project that are watched, newest first.

    Read from their latest in all projects, so that it costs the same however many there are.
    """
    return [
        row
        for row in map(_Judged._make, _NEWEST(annotator=membership.user_id))
        if row.is_live
        and row.comparison__project == membership.project_id
        and _is_watched(membership, row.created_at)
    ]


def _is_watched(membership: Membership, given_at: datetime) -> bool:
    return membership.watched_from is None or given_at >= membership.watched_from


_NEWEST_GOLD = Select(
    lambda: (
        Ranking.objects.live()
        .filter(
            pk__in=Ranking.objects.filter(annotator=an_id("annotator"))
            .order_by("-pk")
            .values("pk")[:READ_FOR_GOLD],
            gold_score__isnull=False,
            comparison__project=an_id("project"),
        )
        .order_by("-pk")
        .values_list("gold_score", "created_at")
    )
)


def _gold_scores(membership: Membership) -> list[float]:
    """Of the latest gold questions that are watched, newest first."""
    found = _NEWEST_GOLD(annotator=membership.user_id, project=membership.project_id)
    watched = [score for score, given_at in found if _is_watched(membership, given_at)]
    return [score for score in watched if score is not None][:LATEST_GOLD]


def _ranked(comparison: str) -> QuerySet[Ranking]:
    """What the person of a repeat said of a comparison that it names."""
    return Ranking.objects.live().filter(
        comparison=OuterRef(comparison),
        annotator=an_id("annotator"),
        verdict=Verdict.RANKED,
        is_adjudication=False,
    )


_LATEST_REPEATS = Select(
    lambda: (
        Comparison.objects.filter(reserved_for=an_id("annotator"), project=an_id("project"))
        .order_by("-pk")
        .values_list(
            Subquery(_ranked("pk").values("ranks")),
            Subquery(_ranked("pk").values("created_at")),
            Subquery(_ranked("repeats").values("ranks")),
        )[:LATEST_REPEATS]
    )
)


def _repeats(membership: Membership) -> list[bool]:
    """For the latest repeats, whether the person ordered the texts as they had; ties left out."""
    agreed = []
    for again, given_at, before in _LATEST_REPEATS(
        annotator=membership.user_id, project=membership.project_id
    ):
        if again is None or before is None or not _is_watched(membership, given_at):
            continue
        balance = _concordance(again, before)
        if balance:
            agreed.append(balance > 0)
    return agreed


def _concordance(one: dict[str, int], other: dict[str, int]) -> int:
    """Pairs ordered alike, less the pairs ordered the other way round."""
    keys = sorted(one.keys() & other.keys())
    signs = [(one[a] - one[b]) * (other[a] - other[b]) for i, a in enumerate(keys) for b in keys[i + 1 :]]
    return sum((sign > 0) - (sign < 0) for sign in signs)


def _best(ranks: dict[str, int]) -> list[str]:
    """The one best, in a list; empty where several share the first rank."""
    first = [key for key, rank in ranks.items() if rank == 1]
    return first if len(first) == 1 else []


@transaction.atomic
def _pause(
    membership: Membership,
    kind: PauseKind,
    *,
    by: User | None = None,
    words: str = "",
    facts: dict[str, Any] | None = None,
) -> bool:
    values = {
        "paused_at": timezone.now(),
        "pause_kind": kind,
        "pause_reason": words.strip()[:200],
        "pause_facts": facts or {},
    }
    paused = _change(membership, values, "paused", by, is_paused=False)
    if paused:
        leases.release_all(membership.user, membership.project)
    return paused


def _change(
    membership: Membership, values: dict[str, Any], verb: str, by: User | None, *, is_paused: bool
) -> bool:
    """Write the values if nobody else has paused (or lifted) meanwhile, and note it."""
    row = Membership.objects.filter(pk=membership.pk, paused_at__isnull=not is_paused)
    if not row.update(**values):
        return False
    for name, value in values.items():
        setattr(membership, name, value)
    details = {"kind": membership.pause_kind, "reason": membership.pause_reason, **membership.pause_facts}
    events.record(membership.project, by, verb, membership.user.username, target=membership, details=details)
    return True


def _percent(share: float) -> str:
    return f"{share:.0%}"
