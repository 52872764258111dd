"""Whatever several annotators do in whatever order, the queue keeps its promises."""

import random
from collections import Counter
from datetime import timedelta

import pytest
from django.db import transaction
from django.utils import timezone
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from annotator.models import Assignment, Comparison, Completion, Membership, Ranking, Verdict
from annotator.quality import gold, watch
from annotator.ranking import dealing, queue
from annotator.ranking.judgments import Judgment, LeaseLost, SubmitError
from annotator.ranking.submit import skip, submit, undo
from tests.factories import make_comparison, make_completions, make_member, make_project, make_prompt

State = Assignment.State
people = st.integers(0, 2)
picks = st.integers(0, 10_000)


class Annotators(RuleBasedStateMachine):
    """Three annotators, a few comparisons of a few prompts, overlap 1 to 3; gold questions, repeats."""

    def __init__(self):
        super().__init__()
        self.savepoint = transaction.savepoint()
        self.project = make_project(gold_rate=0.2, repeat_rate=0.5, auto_pause=False)
        self.people = [make_member(self.project) for _ in range(3)]
        self.keys = 0

    def teardown(self):
        transaction.savepoint_rollback(self.savepoint)

    @initialize(
        comparisons=st.lists(
            st.tuples(st.integers(0, 2), st.integers(1, 3), st.integers(0, 2)), min_size=1, max_size=8
        ),
        gold_questions=st.lists(st.integers(0, 2), max_size=2),
    )
    def fill(self, comparisons, gold_questions):
        prompts = [make_prompt(self.project) for _ in range(3)]
        for prompt in gold_questions:
            one, two = make_completions(prompts[prompt])
            gold.make((prompts[prompt], [one, two]), ranks={one.pk: 1, two.pk: 2})
        for prompt, wanted, priority in comparisons:
            make_comparison(
                self.project,
                completions=make_completions(prompts[prompt]),
                wanted=wanted,
                priority=priority,
            )

    def key(self):
        self.keys += 1
        return f"{id(self)}-{self.keys}"

    def assignments(self, *states, person=None):
        rows = Assignment.objects.filter(comparison__project=self.project, state__in=states)
        return list((rows if person is None else rows.filter(annotator=self.people[person])).order_by("pk"))

    def eligible(self, person):
        """What the queue may give, written as plainly as possible, from the raw rows."""
        user = self.people[person]
        touched = {
            assignment.comparison_id
            for assignment in Assignment.objects.filter(annotator=user)
            if assignment.state in (State.LEASED, State.SUBMITTED, State.SKIPPED)
        }
        wrote_for = {completion.prompt_id for completion in Completion.objects.filter(author=user)}
        return sorted(
            (
                comparison
                for comparison in Comparison.objects.filter(project=self.project)
                if comparison.is_queued
                and comparison.judgments_taken < comparison.judgments_wanted
                and not comparison.is_closed
                and comparison.pk not in touched
                and comparison.prompt_id not in wrote_for
            ),
            key=lambda comparison: (-comparison.priority, comparison.pk),
        )

    @rule(person=people, ahead=st.booleans(), seed=st.integers(0, 1000))
    def claim(self, person, ahead, seed):
        user = self.people[person]
        held = self.assignments(State.LEASED, person=person)
        holding = [assignment.pk for assignment in held] if ahead else []
        paused = Membership.objects.get(user=user, project=self.project).paused_at is not None
        eligible = self.eligible(person)
        last = Assignment.objects.filter(annotator=user).order_by("-pk").first()
        before = self.touched(user)
        chance = random.Random(seed)
        assignment = queue.claim_next(annotator=user, project=self.project, holding=holding, chance=chance)
        if paused:
            assert assignment is None
        elif held and not ahead:
            assert assignment == held[0]
        elif not eligible:
            assert assignment is None, "nothing is dealt without real work"
        else:
            comparison = assignment.comparison
            assert sorted(assignment.order) == sorted(comparison.completions.values_list("pk", flat=True))
            assert comparison.pk not in before, "held, judged or skipped before"
            assert not Completion.objects.filter(author=user, prompt=comparison.prompt_id).exists()
            others = [c for c in eligible if last is None or c.prompt_id != last.comparison.prompt_id]
            if comparison.is_queued:
                assert comparison == (others or eligible)[0]
            else:
                assert last is None or comparison.prompt_id != last.comparison.prompt_id
                assert not Comparison.objects.get(pk=comparison.pk).is_closed
            if comparison.rule == Comparison.Rule.REPEAT:
                assert comparison.reserved_for == user
                judged = comparison.repeats.rankings.filter(annotator=user, verdict=Verdict.RANKED)
                assert assignment.order in [ranking.order[::-1] for ranking in judged]

    def touched(self, user):
        states = [State.LEASED, State.SUBMITTED, State.SKIPPED]
        mine = Assignment.objects.filter(annotator=user, state__in=states)
        return set(mine.values_list("comparison", flat=True))

    @rule(person=people, steps=st.integers(1, 3), seed=st.integers(0, 1000))
    def work_on(self, person, steps, seed):
        """Claim and judge: otherwise few runs come as far as a repeat."""
        for step in range(steps):
            self.claim(person, False, seed + step)
            for assignment in self.assignments(State.LEASED, person=person)[:1]:
                ranks = {pk: place for place, pk in enumerate(assignment.order, start=1)}
                submit(assignment=assignment, judgment=Judgment(ranks=ranks), idempotency_key=self.key())

    @rule(pick=picks)
    def close_or_open(self, pick):
        rows = Comparison.objects.filter(project=self.project).order_by("pk")
        comparison = rows[pick % len(rows)]
        Comparison.objects.filter(pk=comparison.pk).update(is_closed=not comparison.is_closed)

    @rule(pick=picks, improve=st.booleans(), repeat=st.booleans())
    @precondition(lambda self: self.assignments(State.LEASED, State.EXPIRED, State.RELEASED))
    def submit(self, pick, improve, repeat):
        assignments = self.assignments(State.LEASED, State.EXPIRED, State.RELEASED)
        assignment = assignments[pick % len(assignments)]
        judgment = Judgment(
            ranks={pk: place for place, pk in enumerate(assignment.order, start=1)},
            improved_text=f"Better {pick}" if improve else "",
        )
        key = self.key()
        try:
            ranking = submit(assignment=assignment, judgment=judgment, idempotency_key=key)
        except LeaseLost:
            assert assignment.state != State.LEASED, "a lease that is held is never refused"
            return
        if repeat:
            assert submit(assignment=assignment, judgment=judgment, idempotency_key=key) == ranking

    @rule(pick=picks)
    @precondition(lambda self: self.assignments(State.SUBMITTED))
    def undo(self, pick):
        judged = self.assignments(State.SUBMITTED)
        assignment = judged[pick % len(judged)]
        ranking = assignment.rankings.live().get()
        undo(annotator=assignment.annotator, ranking=ranking, idempotency_key=self.key())
        assert assignment in self.assignments(State.LEASED)

    @rule(pick=picks)
    @precondition(lambda self: self.assignments(*State))
    def skip(self, pick):
        assignments = self.assignments(*State)
        assignment = assignments[pick % len(assignments)]
        was_submitted = assignment.state == State.SUBMITTED
        try:
            skip(assignment=assignment, reason="no")
            assert not was_submitted
        except SubmitError:
            assert was_submitted

    @rule(pick=picks)
    @precondition(lambda self: self.assignments(*State))
    def release(self, pick):
        assignments = self.assignments(*State)
        assignment = assignments[pick % len(assignments)]
        was_leased = assignment.state == State.LEASED
        assert queue.release(assignment) == was_leased

    @rule(picks=st.lists(picks, min_size=1, max_size=3))
    @precondition(lambda self: self.assignments(State.LEASED))
    def expire(self, picks):
        leases = self.assignments(State.LEASED)
        ended = {leases[pick % len(leases)].pk for pick in picks}
        Assignment.objects.filter(pk__in=ended).update(leased_until=timezone.now() - timedelta(seconds=1))
        assert queue.sweep_expired() == len(ended)

    @rule(person=people)
    def pause_or_resume(self, person):
        membership = Membership.objects.get(user=self.people[person], project=self.project)
        if membership.paused_at:
            assert watch.lift(membership, None)
        else:
            assert watch.pause(membership, None)
            assert not self.assignments(State.LEASED, person=person)

    @invariant()
    def every_promise_holds(self):
        comparisons = list(Comparison.objects.filter(project=self.project))
        assignments = list(Assignment.objects.filter(comparison__project=self.project))
        rankings = list(Ranking.objects.filter(comparison__project=self.project))
        live = Counter(ranking.comparison_id for ranking in rankings if ranking.is_live)
        leased = Counter(a.comparison_id for a in assignments if a.state == State.LEASED)
        for comparison in comparisons:
            assert comparison.judgments_taken == live[comparison.pk] + leased[comparison.pk]
            assert comparison.judgments_taken <= comparison.judgments_wanted

        judged = Counter(ranking.assignment_id for ranking in rankings if ranking.is_live)
        for assignment in assignments:
            assert judged[assignment.pk] == (1 if assignment.state == State.SUBMITTED else 0)

        busy = [a for a in assignments if a.state in (State.LEASED, State.SUBMITTED)]
        assert len({(a.comparison_id, a.annotator_id) for a in busy}) == len(busy), "held or judged twice"

        for comparison in comparisons:
            people = [a.annotator_id for a in assignments if a.comparison_id == comparison.pk]
            if comparison.rule == Comparison.Rule.REPEAT:
                assert set(people) <= {comparison.reserved_for_id}, "a repeat is for one person"
            if not comparison.is_queued:
                assert comparison.rule in (Comparison.Rule.REPEAT, Comparison.Rule.GOLD)
        repeated = [(c.reserved_for_id, c.repeats_id) for c in comparisons if c.repeats_id]
        assert len(set(repeated)) == len(repeated), "repeated twice"
        for ranking in rankings:
            is_gold = ranking.comparison_id in {c.pk for c in comparisons if c.rule == Comparison.Rule.GOLD}
            assert (ranking.gold_score is not None) == (is_gold and ranking.verdict != Verdict.UNDONE)

        superseded = {ranking.supersedes_id for ranking in rankings}
        for ranking in rankings:
            assert ranking.is_live or ranking.verdict == Verdict.UNDONE or ranking.pk in superseded


@pytest.mark.django_db
def test_the_queue_keeps_its_promises(monkeypatch):
    monkeypatch.setattr(dealing, "FEWEST", 1)  # so that a few steps reach a repeat
    monkeypatch.setattr(dealing, "APART", 0)
    run_state_machine_as_test(
        Annotators,
        settings=settings(
            max_examples=40,
            stateful_step_count=40,
            deadline=None,
            suppress_health_check=list(HealthCheck),
            database=None,
        ),
    )
