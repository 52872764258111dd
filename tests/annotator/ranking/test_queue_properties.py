"""Whatever several annotators do in whatever order, the queue keeps its promises."""

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
from annotator.ranking import queue
from annotator.ranking.submit import Judgment, LeaseLost, SubmitError, skip, submit, undo
from tests.factories import make_comparison, make_completions, make_member, make_project, make_prompt

State = Assignment.State
people = st.integers(0, 2)
picks = st.integers(0, 10_000)


class Annotators(RuleBasedStateMachine):
    """Three annotators, a few comparisons of a few prompts, overlap 1 to 3."""

    def __init__(self):
        super().__init__()
        self.savepoint = transaction.savepoint()
        self.project = make_project()
        self.people = [make_member(self.project) for _ in range(3)]
        self.keys = 0

    def teardown(self):
        transaction.savepoint_rollback(self.savepoint)

    @initialize(
        comparisons=st.lists(
            st.tuples(st.integers(0, 1), st.integers(1, 3), st.integers(0, 2)), min_size=1, max_size=4
        )
    )
    def fill(self, comparisons):
        prompts = [make_prompt(self.project) for _ in range(2)]
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
                if comparison.judgments_taken < comparison.judgments_wanted
                and not comparison.is_closed
                and comparison.pk not in touched
                and comparison.prompt_id not in wrote_for
            ),
            key=lambda comparison: (-comparison.priority, comparison.pk),
        )

    @rule(person=people, ahead=st.booleans())
    def claim(self, person, ahead):
        user = self.people[person]
        held = self.assignments(State.LEASED, person=person)
        holding = [assignment.pk for assignment in held] if ahead else []
        paused = Membership.objects.get(user=user, project=self.project).paused_at is not None
        eligible = self.eligible(person)
        last = Assignment.objects.filter(annotator=user).order_by("-pk").first()
        assignment = queue.claim_next(annotator=user, project=self.project, holding=holding)
        if paused:
            assert assignment is None
        elif held and not ahead:
            assert assignment == held[0]
        elif not eligible:
            assert assignment is None
        else:
            others = [c for c in eligible if last is None or c.prompt_id != last.comparison.prompt_id]
            assert assignment.comparison == (others or eligible)[0]
            assert sorted(assignment.order) == sorted(
                assignment.comparison.completions.values_list("pk", flat=True)
            )

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
        membership.paused_at = None if membership.paused_at else timezone.now()
        membership.save()

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

        superseded = {ranking.supersedes_id for ranking in rankings}
        for ranking in rankings:
            assert ranking.is_live or ranking.verdict == Verdict.UNDONE or ranking.pk in superseded


@pytest.mark.django_db
def test_the_queue_keeps_its_promises():
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
