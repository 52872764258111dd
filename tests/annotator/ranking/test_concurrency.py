"""Real threads with connections of their own, on the database that the settings name."""

import random
import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import pytest
from django.db import close_old_connections, connections

from annotator.models import Assignment, Comparison, Completion, Prompt, Ranking
from annotator.quality import gold
from annotator.ranking import queue
from annotator.ranking.adjudication import adjudicate
from annotator.ranking.judgments import InvalidJudgment, Judgment, LeaseLost
from annotator.ranking.queue import NewComparison
from annotator.ranking.submit import submit, undo
from tests.factories import make_comparison, make_completions, make_member, make_prompt

pytestmark = pytest.mark.django_db(transaction=True)

THREADS = 8


def together(*jobs):
    """Run the jobs at the same moment, each in a thread of its own; their results, in order."""
    start = threading.Barrier(len(jobs))

    def run(job):
        try:
            start.wait(10)
            return job()
        finally:
            connections.close_all()

    close_old_connections()
    with ThreadPoolExecutor(len(jobs)) as pool:
        return list(pool.map(run, jobs))


def ranks(assignment):
    return Judgment(ranks={pk: place for place, pk in enumerate(assignment.order, start=1)})


@pytest.fixture
def people(project):
    return [make_member(project) for _ in range(THREADS)]


def assert_counts_fit():
    for comparison in Comparison.objects.all():
        live = comparison.rankings.live().count()
        leased = comparison.assignments.filter(state=Assignment.State.LEASED).count()
        assert comparison.judgments_taken == live + leased <= comparison.judgments_wanted


def test_one_comparison_goes_to_one_of_many(project, people):
    make_comparison(project)
    jobs = [lambda person=person: queue.claim_next(annotator=person, project=project) for person in people]
    claimed = [assignment for assignment in together(*jobs) if assignment]
    assert len(claimed) == 1
    assert_counts_fit()


def test_overlap_three_means_three(project, people):
    make_comparison(project, wanted=3)
    jobs = [lambda person=person: queue.claim_next(annotator=person, project=project) for person in people]
    claimed = [assignment for assignment in together(*jobs) if assignment]
    assert len(claimed) == len({assignment.annotator_id for assignment in claimed}) == 3
    assert_counts_fit()


def test_two_tabs_of_one_person_get_the_same_lease(project, people):
    make_comparison(project)
    make_comparison(project)
    claimed = together(*[lambda: queue.claim_next(annotator=people[0], project=project)] * THREADS)
    assert len({assignment.pk for assignment in claimed}) == 1


def test_a_person_who_fetches_ahead_in_many_tabs_never_gets_a_comparison_twice(project, people):
    for _ in range(2):
        make_comparison(project, wanted=THREADS)
    any_lease = range(10_000)  # whatever lease there is, another one is asked for
    claim = lambda: queue.claim_next(annotator=people[0], project=project, holding=any_lease)  # noqa: E731
    claimed = [assignment for assignment in together(*[claim] * THREADS) if assignment]
    assert len(claimed) == len({assignment.comparison_id for assignment in claimed}) == 2
    assert_counts_fit()


def test_everybody_works_through_the_queue_and_nothing_is_judged_twice(project, people):
    for number in range(24):
        make_comparison(project, wanted=1 + number % 2)

    def work(person):
        done = 0
        while assignment := queue.claim_next(annotator=person, project=project):
            submit(assignment=assignment, judgment=ranks(assignment), idempotency_key=f"k{assignment.pk}")
            done += 1
        return done

    done = sum(together(*[lambda person=person: work(person) for person in people]))
    assert done == Ranking.objects.live().count() == 36
    judged = Counter(Ranking.objects.values_list("comparison", flat=True))
    assert judged == {comparison.pk: comparison.judgments_wanted for comparison in Comparison.objects.all()}
    assert_counts_fit()


def test_twin_submits_with_one_key_store_one_judgment(project, people):
    make_comparison(project)
    held = queue.claim_next(annotator=people[0], project=project)
    stored = together(
        *[lambda: submit(assignment=held, judgment=ranks(held), idempotency_key="key")] * THREADS
    )
    assert len({ranking.pk for ranking in stored}) == 1
    assert Ranking.objects.count() == 1
    assert_counts_fit()


def test_twin_submits_with_two_keys_store_one_judgment(project, people):
    make_comparison(project)
    held = queue.claim_next(annotator=people[0], project=project)

    def attempt(key):
        try:
            return submit(assignment=held, judgment=ranks(held), idempotency_key=key)
        except LeaseLost:
            return None

    stored = together(*[lambda key=str(n): attempt(key) for n in range(THREADS)])
    assert len([ranking for ranking in stored if ranking]) == 1
    assert Ranking.objects.live().count() == 1


def test_of_two_managers_who_decide_at_once_one_does(project, people):
    comparison = make_comparison(project)
    held = queue.claim_next(annotator=people[0], project=project)
    submit(assignment=held, judgment=ranks(held), idempotency_key="1")
    judgment = ranks(held)

    def attempt(manager):
        try:
            return adjudicate(
                comparison=comparison, manager=manager, judgment=judgment, idempotency_key="decision"
            )
        except InvalidJudgment:
            return None

    decided = together(*[lambda person=person: attempt(person) for person in people[1:]])
    assert len([ranking for ranking in decided if ranking]) == 1
    assert Ranking.objects.votes().get().is_adjudication
    assert Ranking.objects.filter(is_adjudication=True).count() == 1
    assert_counts_fit()


def test_a_decision_pressed_twice_at_once_is_one(project, people):
    comparison = make_comparison(project)
    held = queue.claim_next(annotator=people[0], project=project)
    submit(assignment=held, judgment=ranks(held), idempotency_key="1")
    press = lambda: adjudicate(  # noqa: E731
        comparison=comparison, manager=people[1], judgment=ranks(held), idempotency_key="decision"
    )
    assert len({ranking.pk for ranking in together(*[press] * THREADS)}) == 1
    assert_counts_fit()


def test_twin_undos_undo_once(project, people):
    make_comparison(project)
    held = queue.claim_next(annotator=people[0], project=project)
    ranking = submit(assignment=held, judgment=ranks(held), idempotency_key="1")
    undone = together(*[lambda: undo(annotator=people[0], ranking=ranking, idempotency_key="2")] * THREADS)
    assert len({row.pk for row in undone}) == 1
    assert Ranking.objects.count() == 2
    assert_counts_fit()


def test_many_late_submits_fill_one_place(project, people):
    make_comparison(project, wanted=THREADS)
    held = [queue.claim_next(annotator=person, project=project) for person in people]
    for assignment in held:
        queue.release(assignment)
    Comparison.objects.update(judgments_wanted=1)

    def attempt(assignment):
        try:
            return submit(assignment=assignment, judgment=ranks(assignment), idempotency_key="late")
        except LeaseLost:
            return None

    stored = together(*[lambda assignment=assignment: attempt(assignment) for assignment in held])
    assert len([ranking for ranking in stored if ranking]) == 1
    assert_counts_fit()


def test_tabs_of_one_person_never_get_the_same_repeat_twice(project, people):
    project.repeat_rate = 0.5
    project.save()
    for _ in range(8 + 2 * THREADS):
        make_comparison(project)
    repeat = random.Random(1)
    repeat.random = lambda: 0.25
    for number in range(12):
        held = queue.claim_next(annotator=people[0], project=project)
        submit(assignment=held, judgment=ranks(held), idempotency_key=str(number))
    claim = lambda: queue.claim_next(  # noqa: E731
        annotator=people[0], project=project, holding=range(10_000), chance=repeat
    )
    claimed = together(*[claim] * THREADS)
    assert len({assignment.comparison_id for assignment in claimed}) == THREADS
    repeats = list(Comparison.objects.filter(reserved_for=people[0]).values_list("repeats", flat=True))
    assert len(repeats) == len(set(repeats)) >= 4
    assert_counts_fit()


def test_everybody_answers_a_gold_question_at_once(project, people):
    project.gold_rate = 0.5
    project.save()
    make_comparison(project, wanted=THREADS)
    one, two = make_completions(make_prompt(project))
    right = gold.make((one.prompt, [one, two]), ranks={one.pk: 1, two.pk: 2})
    always = random.Random(1)
    always.random = lambda: 0.0

    def work(person):
        held = queue.claim_next(annotator=person, project=project, chance=always)
        return submit(assignment=held, judgment=ranks(held), idempotency_key="gold")

    given = together(*[lambda person=person: work(person) for person in people])
    assert {ranking.comparison_id for ranking in given} == {right.comparison_id}
    assert all(ranking.gold_score is not None for ranking in given)
    assert_counts_fit()


def test_sweeps_and_claims_at_once_keep_the_counts(project, people):
    for _ in range(4):
        make_comparison(project, wanted=2)
    for person in people:
        queue.claim_next(annotator=person, project=project)
    Assignment.objects.update(leased_until="2020-01-01T00:00:00Z")
    claims = [lambda person=person: queue.claim_next(annotator=person, project=project) for person in people]
    results = together(*claims, *[queue.sweep_expired] * 4)
    claimed = [result for result in results[: len(claims)] if result]
    assert claimed
    assert Assignment.objects.filter(state=Assignment.State.EXPIRED).count() == THREADS
    assert_counts_fit()


def test_twins_that_add_the_same_texts_and_comparisons_add_them_once(project):
    prompt = make_prompt(project)
    one, two = make_completions(prompt)

    def add():
        queue.add_completions(
            prompt=prompt, texts=["a", "b", "c"], source=Completion.Source.MODEL, iteration=1
        )
        new = [NewComparison(prompt.pk, (one.pk, two.pk))]
        return queue.add_comparisons(project=project, comparisons=new, iteration=1)

    assert sum(together(*[add] * THREADS)) == 1
    assert Prompt.objects.get().completions.count() == 5
    assert Comparison.objects.get().slots.count() == 2
