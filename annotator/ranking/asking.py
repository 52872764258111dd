"""Whom to ask: where a project wants it, only the more reliable half of those present is asked at a time.

Each slot of ten minutes everybody's reliability is drawn from what the newest reward model believes of it
(Thompson sampling), and those in the better half of the draws are asked. So who is not known yet has their
turns, and who is careless has ever fewer. A draw hangs on the person and the slot alone: loading the page
again brings no new one. Who is absent keeps nobody from being asked.
"""

from __future__ import annotations

import math
import random
from collections.abc import Mapping
from datetime import timedelta
from functools import lru_cache

from django.db import models
from django.utils import timezone

from annotator.models import Membership, Project, Role, User
from annotator.prepared import Given, Select, an_id

SLOT_SECONDS = 600
PRESENT = timedelta(minutes=5)
"""Who has wanted work within this time is there. A page that waits asks every ten seconds."""
LOOKED = timedelta(minutes=1)
"""How often it is written down that somebody is there."""
UNKNOWN = (8 / 9, 1.06)
"""η and the standard error of its logit before any vote: the reward model's prior, Beta(9, 2)."""


SHARPER = 0.5
"""Of the standard error, in a draw: less exploring does better (so do means of four in rlhf/lm/trust.py)."""


def is_asked(membership: Membership, annotator: User, project: Project) -> bool:
    """Whether this person is asked in the present slot. Managers and simulated people always are."""
    if not project.asks_reliable or membership.role != Role.ANNOTATOR or annotator.is_simulated:
        return True
    now = timezone.now()
    if membership.looked_at is None or now - membership.looked_at > LOOKED:
        Membership.objects.filter(pk=membership.pk).update(looked_at=now)
        membership.looked_at = now
    slot = int(now.timestamp()) // SLOT_SECONDS
    mine = drawn(membership.pk, membership.reliability, membership.reliability_error, slot)
    others = _PRESENT(project=project.pk, since=now - PRESENT, membership=membership.pk)
    before = sum(drawn(*other, slot) > mine for other in others)
    return before < (len(others) + 2) // 2  # half of everybody with this person, rounded up


def seconds_left() -> int:
    """Until the next slot begins."""
    return SLOT_SECONDS - int(timezone.now().timestamp()) % SLOT_SECONDS


def drawn(membership: int, reliability: float | None, error: float | None, slot: int) -> float:
    """A draw of logit η: the same for the same person in the same slot."""
    if reliability is None or error is None:
        reliability, error = UNKNOWN
    return math.log(reliability / (1 - reliability)) + SHARPER * error * _deviate(membership, slot)


def learn(project: Project, known: Mapping[int, tuple[float, float]]) -> None:
    """Keep what a reward model believes: η and the standard error of its logit, by the id of the user."""
    members = list(Membership.objects.filter(project=project).order_by("pk"))
    for member in members:
        eta, error = known.get(member.user_id, (None, None))
        member.reliability = None if eta is None else min(max(eta, 1e-6), 1 - 1e-6)
        member.reliability_error = error
    Membership.objects.bulk_update(members, ["reliability", "reliability_error"], batch_size=500)


@lru_cache(maxsize=10_000)
def _deviate(membership: int, slot: int) -> float:
    return random.Random(f"{membership}:{slot}").gauss(0, 1)


_PRESENT = Select(
    lambda: (
        Membership.objects.filter(
            project=an_id("project"),
            role=Role.ANNOTATOR,
            paused_at=None,
            looked_at__gt=Given("since", models.DateTimeField()),
        )
        .exclude(pk=an_id("membership"))
        .values_list("pk", "reliability", "reliability_error")
    )
)
