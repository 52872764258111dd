"""The queue hands out the right comparison, to the right person, the right number of times."""

from datetime import timedelta

import pytest
from django.db import IntegrityError, transaction
from django.utils import timezone

from annotator.models import Assignment, Comparison, Completion, Membership, Role
from annotator.ranking import queue
from annotator.ranking.judgments import Judgment
from annotator.ranking.queue import NewComparison
from annotator.ranking.submit import skip, submit, undo
from tests.factories import (
    make_comparison,
    make_completions,
    make_member,
    make_project,
    make_prompt,
    make_ranking,
    make_user,
)

pytestmark = pytest.mark.django_db


def taken(comparison):
    comparison.refresh_from_db()
    return comparison.judgments_taken


def expire(assignment):
    Assignment.objects.filter(pk=assignment.pk).update(leased_until=timezone.now() - timedelta(seconds=1))


def claim(user, project, holding=()):
    return queue.claim_next(annotator=user, project=project, holding=holding)


def test_it_gives_the_highest_priority_first_then_the_oldest(project, bob):
    first = make_comparison(project, priority=1)
    make_comparison(project, priority=1)
    best = make_comparison(project, priority=2)
    one = claim(bob, project)
    two = claim(bob, project, holding=[one.pk])
    assert [one.comparison, two.comparison] == [best, first]


def test_it_gives_nothing_where_nothing_is_open(project, bob):
    assert claim(bob, project) is None
    comparison = make_comparison(project)
    Comparison.objects.filter(pk=comparison.pk).update(is_closed=True)
    assert claim(bob, project) is None


def test_it_gives_nothing_to_outsiders(project, mallory):
    make_comparison(project)
    assert claim(mallory, project) is None


def test_it_gives_a_superuser_without_a_role_something(project):
    make_comparison(project)
    assert claim(make_user("root", is_superuser=True), project) is not None


def test_it_gives_nothing_to_people_who_are_paused(project, bob):
    make_comparison(project)
    held = claim(bob, project)
    Membership.objects.filter(user=bob).update(paused_at=timezone.now())
    assert claim(bob, project) is None
    Membership.objects.filter(user=bob).update(paused_at=None)
    assert claim(bob, project) == held


def test_it_keeps_to_its_project(project, bob):
    other = make_project("other")
    make_member(other, Role.ANNOTATOR, bob)
    make_comparison(other)
    assert claim(bob, project) is None


def test_it_leases_for_the_projects_time(project, bob):
    project.lease_seconds = 120
    project.save()
    make_comparison(project)
    left = claim(bob, project).leased_until - timezone.now()
    assert timedelta(seconds=115) < left <= timedelta(seconds=121)


def test_it_returns_the_same_lease_after_a_reload(project, bob):
    make_comparison(project)
    make_comparison(project)
    first = claim(bob, project)
    assert claim(bob, project) == first
    assert claim(bob, project).order == first.order
    ahead = claim(bob, project, holding=[first.pk])
    assert ahead != first
    assert claim(bob, project, holding=[first.pk]) == ahead


def test_overlap_one_means_one(project, bob, carol):
    comparison = make_comparison(project)
    assert claim(bob, project).comparison == comparison
    assert claim(carol, project) is None
    assert taken(comparison) == 1


def test_overlap_two_means_two_different_people(project, bob, carol, alice):
    comparison = make_comparison(project, wanted=2)
    mine = claim(bob, project)
    assert claim(bob, project, holding=[mine.pk]) is None
    assert claim(carol, project).comparison == comparison
    assert claim(alice, project) is None
    assert taken(comparison) == 2


def test_a_judged_comparison_does_not_come_back_to_the_same_person(project, bob):
    make_comparison(project, wanted=3)
    make_ranking(project, bob)
    assert claim(bob, project) is None


def test_a_skipped_comparison_goes_to_others_only(project, bob, carol):
    comparison = make_comparison(project)
    skip(assignment=claim(bob, project), reason="too long")
    assert taken(comparison) == 0
    assert claim(bob, project) is None
    assert claim(carol, project).comparison == comparison


def test_nobody_judges_a_prompt_that_they_wrote_for(project, bob, carol):
    prompt = make_prompt(project)
    written = queue.add_completions(
        prompt=prompt, texts=["Mine"], source=Completion.Source.EDITED, iteration=1, author=bob
    )
    make_comparison(project, completions=[*written, *make_completions(prompt, 1)])
    make_comparison(project, completions=make_completions(prompt, 2))
    assert claim(bob, project) is None
    assert claim(carol, project) is not None


def test_a_prompt_does_not_come_twice_in_a_row_unless_there_is_no_other(project, bob):
    prompt = make_prompt(project)
    best = make_comparison(project, prompt, priority=3)
    same = make_comparison(project, prompt, priority=2)
    other = make_comparison(project, priority=1)
    seen = []
    for _ in range(3):
        seen.append(claim(bob, project).comparison)
        make_ranking(project, bob)
    assert seen == [best, other, same]


def test_an_expired_lease_goes_to_the_next_person(project, bob, carol):
    comparison = make_comparison(project)
    lost = claim(bob, project)
    expire(lost)
    assert claim(carol, project).comparison == comparison
    lost.refresh_from_db()
    assert lost.state == Assignment.State.EXPIRED
    assert taken(comparison) == 1


def test_an_absent_person_may_come_back(project, bob):
    comparison = make_comparison(project)
    expire(claim(bob, project))
    assert claim(bob, project).comparison == comparison
    assert taken(comparison) == 1


def test_the_sweep_ends_what_has_expired_and_nothing_else(project, bob, carol):
    make_comparison(project)
    make_comparison(project)
    lost, kept = claim(bob, project), claim(carol, project)
    expire(lost)
    assert queue.sweep_expired() == 1
    assert queue.sweep_expired() == 0
    assert (taken(lost.comparison), taken(kept.comparison)) == (0, 1)
    kept.refresh_from_db()
    assert kept.state == Assignment.State.LEASED


def test_the_sweep_gives_back_two_leases_of_one_comparison(project, bob, carol):
    comparison = make_comparison(project, wanted=2)
    leases = [claim(bob, project), claim(carol, project)]
    for lease in leases:
        expire(lease)
    assert queue.sweep_expired() == 2
    assert taken(comparison) == 0


def test_a_lease_can_be_renewed_until_it_is_lost(project, bob):
    make_comparison(project)
    lease = claim(bob, project)
    expire(lease)
    assert queue.renew(lease)
    assert lease.leased_until > timezone.now()
    assert queue.sweep_expired() == 0
    expire(lease)
    queue.sweep_expired()
    assert not queue.renew(lease)


def test_a_released_comparison_is_open_again_once(project, bob):
    comparison = make_comparison(project)
    lease = claim(bob, project)
    assert queue.release(lease)
    assert not queue.release(lease)
    assert taken(comparison) == 0
    assert claim(bob, project).comparison == comparison


def test_the_order_shown_is_random_and_kept(project, bob):
    project.completions_per_comparison = 4
    project.save()
    orders = set()
    for _ in range(20):
        comparison = make_comparison(project)
        lease = claim(bob, project)
        assert sorted(lease.order) == sorted(comparison.completions.values_list("pk", flat=True))
        assert Assignment.objects.get(pk=lease.pk).order == lease.order
        orders.add(tuple(sorted(lease.order).index(pk) for pk in lease.order))
        skip(assignment=lease, reason="next")
    assert len(orders) > 5  # of 24; fewer than 6 in 20 draws would be a chance of 1e-11


def test_the_database_refuses_more_judgments_than_wanted(project):
    comparison = make_comparison(project)
    with pytest.raises(IntegrityError), transaction.atomic():
        Comparison.objects.filter(pk=comparison.pk).update(judgments_taken=2)


def test_the_database_refuses_a_second_lease_of_one_person(project, bob):
    make_comparison(project, wanted=2)
    lease = claim(bob, project)
    with pytest.raises(IntegrityError), transaction.atomic():
        Assignment.objects.create(
            comparison=lease.comparison, annotator=bob, order=lease.order, leased_until=timezone.now()
        )


def test_an_undone_comparison_comes_before_what_was_fetched_ahead(project, bob):
    make_comparison(project)
    make_comparison(project)
    first = claim(bob, project)
    judgment = Judgment(ranks=dict(zip(first.order, (1, 2), strict=True)))
    ranking = submit(assignment=first, judgment=judgment, idempotency_key="a")
    ahead = claim(bob, project)
    undo(annotator=bob, ranking=ranking, idempotency_key="b")
    assert claim(bob, project) == first
    assert claim(bob, project, holding=[first.pk]) == ahead


class TestCompletions:
    def test_they_come_back_in_the_order_of_their_texts(self, project):
        prompt = make_prompt(project)
        old = queue.add_completions(prompt=prompt, texts=["b"], source="model", iteration=1)
        new = queue.add_completions(prompt=prompt, texts=["a", "b", "a ", "c"], source="model", iteration=2)
        assert [row.text for row in new] == ["a", "b", "a", "c"]
        assert new[1] == old[0]
        assert new[0] == new[2]
        assert new[1].iteration == 1
        assert prompt.completions.count() == 3

    def test_white_space_does_not_make_another_text(self, project):
        prompt = make_prompt(project)
        one, two = queue.add_completions(
            prompt=prompt, texts=["Do  it\nnow", "Do it now"], source="model", iteration=1
        )
        assert one == two

    def test_the_same_text_may_be_written_for_two_prompts(self, project):
        for prompt in (make_prompt(project), make_prompt(project)):
            queue.add_completions(prompt=prompt, texts=["a"], source="model", iteration=1)
        assert Completion.objects.filter(text="a").count() == 2

    def test_it_rejects_an_empty_text(self, project):
        with pytest.raises(ValueError, match="empty"):
            queue.add_completions(prompt=make_prompt(project), texts=["a", " "], source="model", iteration=1)
        assert not Completion.objects.exists()


class TestComparisons:
    def add(self, project, *new, iteration=1):
        return queue.add_comparisons(project=project, comparisons=new, iteration=iteration)

    def test_they_take_what_the_project_wants(self, project):
        project.judgments_wanted = 3
        project.save()
        prompt = make_prompt(project)
        one, two = make_completions(prompt)
        new = NewComparison(prompt.pk, (two.pk, one.pk), 0.5, Comparison.Rule.THOMPSON)
        assert self.add(project, new, iteration=4) == 1
        comparison = Comparison.objects.get()
        assert (comparison.judgments_wanted, comparison.iteration, comparison.priority) == (3, 4, 0.5)
        assert comparison.rule == Comparison.Rule.THOMPSON
        assert comparison.completions_key == f"{one.pk},{two.pk}"
        assert list(comparison.slots.values_list("completion", "position")) == [(two.pk, 1), (one.pk, 2)]

    def test_the_same_set_under_the_same_rule_is_asked_once(self, project):
        prompt = make_prompt(project)
        one, two = make_completions(prompt)
        new = NewComparison(prompt.pk, (one.pk, two.pk))
        turned = NewComparison(prompt.pk, (two.pk, one.pk))
        repeat = NewComparison(prompt.pk, (one.pk, two.pk), rule=Comparison.Rule.EVALUATION)
        assert self.add(project, new, turned, new) == 1
        assert self.add(project, turned) == 0
        assert self.add(project, repeat) == 1

    def test_more_than_a_batch(self, project):
        prompt = make_prompt(project)
        ids = [completion.pk for completion in make_completions(prompt, 40)]
        pairs = [NewComparison(prompt.pk, (a, b)) for a in ids for b in ids if a < b]
        assert self.add(project, *pairs) == 780
        assert Comparison.objects.filter(slots__completion=ids[0]).count() == 39

    @pytest.mark.parametrize("count", [1, 10])
    def test_it_rejects_fewer_than_two_and_more_than_nine(self, project, count):
        prompt = make_prompt(project)
        ids = tuple(completion.pk for completion in make_completions(prompt, count))
        with pytest.raises(ValueError, match="2 to 9"):
            self.add(project, NewComparison(prompt.pk, ids))

    def test_it_rejects_a_completion_against_itself(self, project):
        prompt = make_prompt(project)
        (one,) = make_completions(prompt, 1)
        with pytest.raises(ValueError, match="different"):
            self.add(project, NewComparison(prompt.pk, (one.pk, one.pk)))

    def test_it_rejects_completions_of_another_prompt_and_stores_nothing(self, project):
        prompt = make_prompt(project)
        one, two = make_completions(prompt)
        (stranger,) = make_completions(make_prompt(project), 1)
        with pytest.raises(ValueError, match="not all of prompt"):
            self.add(
                project,
                NewComparison(prompt.pk, (one.pk, two.pk)),
                NewComparison(prompt.pk, (one.pk, stranger.pk)),
            )
        assert not Comparison.objects.exists()

    def test_it_rejects_a_prompt_of_another_project(self, project):
        prompt = make_prompt(make_project())
        one, two = make_completions(prompt)
        with pytest.raises(ValueError, match="project support"):
            self.add(project, NewComparison(prompt.pk, (one.pk, two.pk)))
