"""Only the more reliable half is asked, where a project wants it; nobody waits for who is absent."""

from __future__ import annotations

from collections import Counter
from datetime import datetime, timedelta
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from annotator.models import Membership, Project, Role
from annotator.ranking import asking, queue
from tests.factories import make_comparison, make_member, make_project

pytestmark = pytest.mark.django_db

NOON = datetime(2026, 3, 2, 12, 0, tzinfo=timezone.get_default_timezone())
SLOT = timedelta(seconds=asking.SLOT_SECONDS)


class Clock:
    def __init__(self, now: datetime) -> None:
        self.now = now

    def __call__(self) -> datetime:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock(NOON)
    monkeypatch.setattr(asking.timezone, "now", clock)
    return clock


@pytest.fixture
def choosy() -> Project:
    project = make_project("choosy", asks_reliable=True)
    for _ in range(30):
        make_comparison(project)
    return project


def member(project: Project, reliability: float | None = None, error: float | None = 1e-6, **values: Any):
    known = {} if reliability is None else {"reliability": reliability, "reliability_error": error}
    user = make_member(project, **known, **values)
    return Membership.objects.select_related("user").get(project=project, user=user)


def is_asked(membership: Membership) -> bool:
    membership.refresh_from_db()
    return asking.is_asked(membership, membership.user, membership.project)


def test_the_better_half_is_asked_rounded_up(choosy: Project, clock: Clock):
    people = [member(choosy, eta) for eta in (0.6, 0.7, 0.8, 0.9, 0.95)]
    for person in people:
        is_asked(person)  # now all are known to be there
    assert [is_asked(person) for person in people] == [False, False, True, True, True]


def test_alone_anybody_is_asked(choosy: Project, clock: Clock):
    careless, careful = member(choosy, 0.5), member(choosy, 0.95)
    assert is_asked(careless)
    assert is_asked(careful)
    assert not is_asked(careless)
    clock.now += asking.PRESENT + timedelta(seconds=1)  # the careful one has left
    assert is_asked(careless)


def test_who_is_paused_or_a_manager_keeps_nobody_waiting(choosy: Project, clock: Clock):
    manager, careless = member(choosy, 0.99, role=Role.MANAGER), member(choosy, 0.5)
    paused = member(choosy, 0.99)
    assert is_asked(manager) and is_asked(paused)
    Membership.objects.filter(pk=paused.pk).update(paused_at=NOON)
    assert is_asked(careless) and is_asked(manager)
    manager.refresh_from_db()
    assert manager.looked_at is None


def test_a_draw_stays_for_its_slot(choosy: Project, clock: Clock):
    people = [member(choosy) for _ in range(4)]

    def asked() -> list[bool]:
        for person in people:
            is_asked(person)
        return [is_asked(person) for person in people]

    first = asked()
    assert sum(first) == 2
    clock.now += SLOT - timedelta(seconds=1)
    assert asked() == first
    slots = Counter()
    for _ in range(60):
        clock.now += SLOT
        slots.update(person for person, is_one in zip(people, asked(), strict=True) if is_one)
    assert all(15 <= slots[person] <= 45 for person in people)  # each about half of the time


def test_who_is_not_known_has_a_chance_and_who_is_careless_hardly_any(choosy: Project, clock: Clock):
    careful, new, careless = member(choosy, 0.95, 0.3), member(choosy), member(choosy, 0.55, 0.3)
    slots = Counter()
    for _ in range(100):
        clock.now += SLOT
        for person in (careful, new, careless):
            is_asked(person)
        slots.update(person for person in (careful, new, careless) if is_asked(person))
    assert slots[careful] > 90 and slots[new] > 80 and slots[careless] < 20


def test_a_claim_gives_nothing_to_who_is_not_asked_but_what_they_hold(choosy: Project, clock: Clock):
    careless, careful = member(choosy, 0.5), member(choosy, 0.95)
    held = queue.claim_next(annotator=careless.user, project=choosy)
    assert held is not None
    assert queue.claim_next(annotator=careful.user, project=choosy) is not None
    assert queue.claim_next(annotator=careless.user, project=choosy) == held
    assert queue.claim_next(annotator=careless.user, project=choosy, holding=[held.pk]) is None
    choosy.asks_reliable = False
    choosy.save()
    assert queue.claim_next(annotator=careless.user, project=choosy, holding=[held.pk]) is not None


def test_page_and_api_say_when_it_may_be_their_turn(choosy: Project, clock: Clock, client: Client):
    careless, careful = member(choosy, 0.5), member(choosy, 0.95)
    is_asked(careful)
    clock.now += timedelta(seconds=200)
    client.force_login(careless.user)
    for name in ("rank-next", "api-claim"):
        answer = client.post(reverse(name, args=["choosy"]), {}, content_type="application/json")
        assert (answer.status_code, answer["Retry-After"]) == (204, "400")
    choosy.comparisons.update(is_closed=True)  # then it is no matter of whom to ask
    answer = client.post(reverse("rank-next", args=["choosy"]), {}, content_type="application/json")
    assert answer.status_code == 204 and "Retry-After" not in answer
    assert "Others are being asked just now" in client.get(reverse("rank", args=["choosy"])).text


def test_it_costs_a_claim_one_query_and_nothing_where_it_is_off(
    choosy: Project, clock: Clock, django_assert_num_queries: Any
):
    person = member(choosy, 0.9)
    is_asked(person)
    with django_assert_num_queries(1):
        asking.is_asked(person, person.user, choosy)
    choosy.asks_reliable = False
    with django_assert_num_queries(0):
        assert asking.is_asked(person, person.user, choosy)


def test_it_learns_from_a_reward_model_and_forgets_whom_it_does_not_know(choosy: Project):
    known, forgotten = member(choosy), member(choosy, 0.9, 0.2)
    outsider = member(make_project(), 0.7, 0.3)
    asking.learn(choosy, {known.user_id: (0.8, 0.4)})
    for person in (known, forgotten, outsider):
        person.refresh_from_db()
    assert (known.reliability, known.reliability_error) == (0.8, 0.4)
    assert (forgotten.reliability, forgotten.reliability_error) == (None, None)
    assert (outsider.reliability, outsider.reliability_error) == (0.7, 0.3)
