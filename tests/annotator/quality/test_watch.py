"""Whose work is paused by itself, and why: numbers checked by hand."""

import pytest
from django.utils import timezone

from annotator.models import Assignment, Comparison, Event, Membership, PauseKind, Ranking, Role, Verdict
from annotator.quality import watch
from annotator.ranking import queue
from tests.factories import make_comparison, make_completions, make_prompt


@pytest.fixture
def member(project, bob):
    return Membership.objects.get(user=bob, project=project)


@pytest.fixture
def always(monkeypatch):
    """Look after every judgment."""
    monkeypatch.setattr(watch, "EVERY", 1)


class History:
    """Writes judgments into the database as if they had been given."""

    def __init__(self, project, annotator):
        self.project, self.annotator, self.prompt = project, annotator, make_prompt(project)

    def add(self, *, first_is_best=True, comparison=None, seconds=10.0, repeats=None, gold_score=None):
        is_beside = repeats is not None or gold_score is not None
        one, two = make_completions(self.prompt)
        rule = "repeat" if repeats else "gold" if is_beside else "random"
        comparison = Comparison.objects.create(
            project=self.project,
            prompt=self.prompt,
            completions_key=f"{one.pk},{two.pk}" if repeats is None else repeats.comparison.completions_key,
            rule=rule,
            is_queued=not is_beside,
            repeats=repeats.comparison if repeats else None,
            reserved_for=self.annotator if repeats else None,
            judgments_taken=1,
        )
        order = [one.pk, two.pk] if repeats is None else repeats.order[::-1]
        held = Assignment.objects.create(
            comparison=comparison,
            annotator=self.annotator,
            order=order,
            state="submitted",
            leased_until=timezone.now(),
        )
        best = order[0] if first_is_best else order[1]
        return Ranking.objects.create(
            comparison=comparison,
            assignment=held,
            annotator=self.annotator,
            ranks={str(pk): 1 if pk == best else 2 for pk in order},
            order=order,
            seconds=seconds,
            gold_score=gold_score,
            idempotency_key=f"h{held.pk}",
        )


@pytest.fixture
def history(project, bob):
    return History(project, bob)


def test_half_of_the_latest_twenty_too_fast():
    assert watch.too_fast([1.0] * 10 + [9.0] * 30, 1.5) == {"quick": 10, "of": 20, "seconds": 1.5}
    assert watch.too_fast([1.0] * 9 + [1.5] * 30, 1.5) is None
    assert watch.too_fast([9.0] * 20 + [1.0] * 20, 1.5) is None  # long ago
    assert watch.too_fast([None, 1.0] * 10, 1.5) == {"quick": 10, "of": 10, "seconds": 1.5}
    assert watch.too_fast([0.0] * 20, 0) is None


def test_the_binomial_test_is_exact():
    # Ten tosses, one head or fewer, or nine or more: (1 + 10 + 10 + 1) / 1024.
    assert watch.two_sided(1, 10, 0.5) == pytest.approx(22 / 1024)
    assert watch.two_sided(5, 10, 0.5) == 1
    # Three of three where one in three is expected: only that outcome is so unlikely.
    assert watch.two_sided(3, 3, 1 / 3) == pytest.approx(1 / 27)
    assert watch.binomial_at_most(1, 3, 0.5) == 0.5


def judged(first, n, k=2):
    orders = [list(range(k)) for _ in range(n)]
    best = [0] * first + [1] * (n - first)
    return [
        ({str(c): 1 if c == top else 2 for c in order}, order)
        for order, top in zip(orders, best, strict=True)
    ]


def test_always_the_first_place():
    # Of forty, 36 in the first place have p = 0.0000002, 35 have 0.0000014; of 21, all 21 0.00000095.
    assert watch.one_place(judged(36, 40)) == {"first": 36, "of": 40, "shown": 2}
    assert watch.one_place(judged(35, 40)) is None
    assert watch.one_place(judged(4, 40)) == {"first": 4, "of": 40, "shown": 2}
    assert watch.one_place(judged(21, 21)) is not None
    assert watch.one_place(judged(20, 20)) is None
    assert watch.one_place(judged(19, 19, k=3)) is None  # p is small enough, but nineteen are too few
    assert watch.one_place(judged(20, 40, k=3)) is None  # half where a third is expected: p = 0.03
    assert watch.one_place(judged(29, 40, k=3)) is not None
    assert watch.one_place([({"1": 1, "2": 1}, [1, 2])] * 40) is None  # ties have no best


def test_gold_missed_beyond_bad_luck():
    # Three standard errors: of 8 with 0.7, 0.7 - 3 * 0.162 = 0.214; of 20, 0.393.
    assert watch.gold_missed([1] + [0] * 7, 0.7) == {"mean": 0.125, "of": 8, "pass_share": 0.7}
    assert watch.gold_missed([1, 1] + [0] * 6, 0.7) is None
    assert watch.gold_missed([0] * 7, 0.7) is None
    assert watch.gold_missed([1] * 7 + [0] * 13, 0.7) is not None
    assert watch.gold_missed([1] * 8 + [0] * 12, 0.7) is None


def test_contradicting_oneself():
    # Of 8 at three in four: at most one with probability 0.0004, at most two 0.0042; of 40, twenty 0.0006.
    assert watch.contradictions([True] + [False] * 7) == {"agreed": 1, "of": 8}
    assert watch.contradictions([True] * 2 + [False] * 6) is None
    assert watch.contradictions([False] * 7) is None
    assert watch.contradictions([True] * 20 + [False] * 20) == {"agreed": 20, "of": 40}
    assert watch.contradictions([True] * 28 + [False] * 12) is None


def test_pace_is_found_in_the_database(member, history):
    for number in range(20):
        history.add(first_is_best=number % 2 == 0, seconds=0.5)
    kind, facts = watch.look(member)
    assert (kind, facts["quick"]) == (PauseKind.TOO_FAST, 20)


def test_repeats_are_found_in_the_database(member, history):
    for number in range(8):
        first = history.add(first_is_best=number % 2 == 0)
        # The order is reversed, so the same place is the other text: seven contradictions.
        history.add(first_is_best=(number % 2 == 0) == (number < 7), repeats=first)
    assert watch.look(member) == (PauseKind.REPEATS, {"agreed": 1, "of": 8})
    assert watch.look(member, deep=False) is None


def test_gold_is_found_in_the_database(member, history):
    for number in range(60):
        history.add(first_is_best=number % 2 == 0, gold_score=0.0 if number < 10 else None)
    assert watch.look(member)[0] == PauseKind.GOLD


def test_a_lifted_pause_starts_from_nothing(project, bob, alice, member, history):
    for number in range(20):
        history.add(first_is_best=number % 2 == 0, seconds=0.5)
    watch.pause(member, alice, "Please read the guidelines")
    watch.lift(member, alice)
    assert watch.look(member) is None
    member.refresh_from_db()
    assert (member.paused_at, member.pause_kind, member.pause_facts) == (None, "", {})
    assert member.qualified_at is None


def submit_next(project, person, seconds=0.5):
    from annotator.ranking.judgments import Judgment
    from annotator.ranking.submit import submit

    held = queue.claim_next(annotator=person, project=project)
    ranks = {pk: place for place, pk in enumerate(sorted(held.order), start=1)}
    return submit(
        assignment=held, judgment=Judgment(ranks=ranks, seconds=seconds), idempotency_key=f"k{held.pk}"
    )


def work_too_fast(project, person, times=10):
    for _ in range(times):
        submit_next(project, person)


@pytest.fixture
def waiting(project):
    for _ in range(12):
        make_comparison(project)


def test_submitting_pauses_lets_go_and_is_noted(project, bob, member, waiting, always):
    work_too_fast(project, bob, 9)
    ahead = [queue.claim_next(annotator=bob, project=project, holding=[10_000]) for _ in range(1)]
    work_too_fast(project, bob, 1)
    member.refresh_from_db()
    assert member.pause_kind == PauseKind.TOO_FAST
    assert "10 of the latest 10 judgments took less than 1.5 seconds" in watch.reason(member)
    assert queue.claim_next(annotator=bob, project=project) is None
    assert not Assignment.objects.filter(state="leased").exists(), ahead
    assert Event.objects.get(verb="paused").subject == "bob"


def test_who_is_never_paused_by_the_site(project, bob, member, waiting, always):
    def is_paused():
        member.refresh_from_db()
        return member.paused_at is not None

    project.auto_pause = False
    project.save()
    work_too_fast(project, bob)
    assert not is_paused()
    project.auto_pause = True
    project.save()
    member.role = Role.MANAGER
    member.save()
    work_too_fast(project, bob, 1)
    assert not is_paused()
    member.role = Role.ANNOTATOR
    member.save()
    work_too_fast(project, bob, 1)
    assert is_paused()


def test_simulated_annotators_are_not_watched(project, bob, member, waiting, always):
    bob.is_simulated = True
    bob.save()
    work_too_fast(project, bob, 12)
    member.refresh_from_db()
    assert member.paused_at is None


def test_a_pause_is_given_and_lifted_once(alice, member):
    assert watch.pause(member, alice, "Away")
    assert not watch.pause(member, alice, "Again")
    assert watch.reason(member) == "Away"
    assert watch.lift(member, alice)
    assert not watch.lift(member, alice)
    assert list(Event.objects.order_by("pk").values_list("verb", "actor__username")) == [
        ("paused", "alice"),
        ("resumed", "alice"),
    ]


@pytest.mark.parametrize(
    ("kind", "facts", "words"),
    [
        ("qualification", {"mean": 0.5, "of": 4, "pass_share": 0.7}, "50% right, 70% needed"),
        ("gold", {"mean": 0.3, "of": 12, "pass_share": 0.7}, "12 checked answers, 30% were right"),
        ("repeats", {"agreed": 4, "of": 9}, "4 of 9 answers agreed"),
        ("too_fast", {"quick": 12, "of": 20, "seconds": 1.5}, "12 of the latest 20"),
        ("position", {"first": 38, "of": 40, "shown": 2}, "first of 2 shown was called the best in 38 of 40"),
        ("manual", {}, "paused"),
    ],
)
def test_the_reason_names_the_figures(member, kind, facts, words):
    member.pause_kind, member.pause_facts = kind, facts
    assert words in watch.reason(member)


def test_verdicts_without_an_order_have_no_place(member, history):
    for _ in range(40):
        ranking = history.add()
        Ranking.objects.filter(pk=ranking.pk).update(verdict=Verdict.ALL_BAD, ranks={})
    assert watch.look(member) is None
