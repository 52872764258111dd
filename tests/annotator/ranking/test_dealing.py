"""Gold questions, repeats and the qualification round: dealt out in front of the queue, unmarked."""

import random

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from annotator.models import Assignment, Comparison, Membership, PauseKind, Ranking, Verdict
from annotator.quality import gold, watch
from annotator.ranking import dealing, queue
from annotator.ranking.judgments import Judgment
from annotator.ranking.submit import feedback, skip, submit, undo
from tests.factories import make_comparison, make_completions, make_member, make_prompt, make_user

State = Assignment.State
Rule = Comparison.Rule


class Dice(random.Random):
    """Always shows the same number; chooses the first."""

    def __init__(self, shows):
        super().__init__(0)
        self.shows = shows

    def random(self):
        return self.shows

    def choice(self, seq):
        return seq[0]


GOLD, REPEAT, QUEUE = Dice(0.05), Dice(0.15), Dice(0.5)


@pytest.fixture
def mixed(project):
    """Gold below 0.1 on the dice, repeats below 0.2."""
    project.gold_rate = project.repeat_rate = 0.1
    project.save()
    return project


def make_gold(project, prompt=None, **values):
    """A gold question of which the first completion is right."""
    completions = make_completions(prompt or make_prompt(project))
    ranks = {completion.pk: place for place, completion in enumerate(completions, start=1)}
    return gold.make((completions[0].prompt, completions), ranks=ranks, **values)


def claim(person, project, chance=QUEUE, holding=()):
    return queue.claim_next(annotator=person, project=project, chance=chance, holding=holding)


def answer(assignment, *, right=True, key=""):
    """Prefer the completion that came first into the database (in gold: the right one), or the other."""
    ordered = sorted(assignment.order, reverse=not right)
    ranks = {pk: place for place, pk in enumerate(ordered, start=1)}
    return submit(
        assignment=assignment, judgment=Judgment(ranks=ranks), idempotency_key=key or f"k{assignment.pk}"
    )


def judge(person, project, count):
    return [answer(claim(person, project)) for _ in range(count)]


def membership(person, project):
    return Membership.objects.get(user=person, project=project)


# Gold questions


def test_gold_is_put_in_front_of_the_queue_once(mixed, bob):
    right = make_gold(mixed)
    make_comparison(mixed)
    held = claim(bob, mixed, GOLD)
    assert held.comparison == right.comparison
    assert answer(held).gold_score == 1
    assert claim(bob, mixed, GOLD).comparison.is_queued


def test_gold_is_for_everybody(mixed, bob, carol):
    right = make_gold(mixed)
    make_comparison(mixed, wanted=2)
    assert claim(bob, mixed, GOLD).comparison == claim(carol, mixed, GOLD).comparison == right.comparison
    right.comparison.refresh_from_db()
    assert right.comparison.judgments_taken == 2


def test_without_real_work_nothing_is_dealt(mixed, bob):
    make_gold(mixed)
    assert claim(bob, mixed, GOLD) is None


def test_retired_gold_is_not_dealt_and_a_held_one_can_still_be_answered(mixed, bob, carol):
    right = make_gold(mixed)
    make_comparison(mixed, wanted=2)
    held = claim(bob, mixed, GOLD)
    gold.retire(right)
    assert claim(carol, mixed, GOLD).comparison.is_queued
    assert answer(held, right=False).gold_score == 0


def test_gold_of_the_prompt_just_judged_waits(mixed, bob):
    first, second = make_comparison(mixed), make_comparison(mixed)
    make_gold(mixed, first.prompt)
    assert claim(bob, mixed).comparison == first
    answer(Assignment.objects.get())
    assert claim(bob, mixed, GOLD).comparison == second


def test_gold_that_was_skipped_does_not_come_back_and_one_let_go_does(mixed, bob):
    make_gold(mixed)
    make_comparison(mixed)
    other = make_comparison(mixed)
    held = claim(bob, mixed, GOLD)
    queue.release(held)
    answer(claim(bob, mixed))  # of another prompt
    again = claim(bob, mixed, GOLD)
    assert again.comparison == held.comparison
    skip(assignment=again, reason="")
    assert claim(bob, mixed, GOLD).comparison == other


def test_gold_is_no_vote(mixed, bob):
    make_gold(mixed)
    make_comparison(mixed)
    answer(claim(bob, mixed, GOLD))
    assert not Ranking.objects.votes().exists()


def test_the_dice_decide(mixed):
    chance = random.Random(0)
    drawn = [dealing.drawn(mixed, chance) for _ in range(10_000)]
    assert drawn.count(Rule.GOLD) / 10_000 == pytest.approx(0.1, abs=0.012)
    assert drawn.count(Rule.REPEAT) / 10_000 == pytest.approx(0.1, abs=0.012)
    mixed.gold_rate = mixed.repeat_rate = 0
    assert dealing.drawn(mixed, GOLD) is None


def test_a_claim_from_the_queue_costs_no_query_more(project, bob):
    for _ in range(3):
        make_comparison(project)
    from django.db import connection
    from django.test.utils import CaptureQueriesContext

    with CaptureQueriesContext(connection) as without:
        answer_later = claim(bob, project)
    project.gold_rate = project.repeat_rate = 0.1
    project.save()
    with CaptureQueriesContext(connection) as with_rates:
        claim(bob, project, QUEUE, holding=[answer_later.pk])
    # The second claim also looks for another prompt than the first one's, in one query.
    assert len(with_rates) <= len(without) + 1


# Feedback


@pytest.mark.parametrize(("when", "told"), [("never", False), ("qualification", False), ("always", True)])
def test_feedback_outside_the_qualification_round(mixed, bob, when, told):
    mixed.gold_feedback = when
    mixed.save()
    right = make_gold(mixed, explanation="It says what to do.")
    make_comparison(mixed)
    given = feedback(answer(claim(bob, mixed, GOLD), right=False))
    assert (given is not None) == told
    if given:
        assert (given.is_right, given.score, given.explanation) == (False, 0, "It says what to do.")
        assert given.ranks == {int(key): rank for key, rank in right.ranks.items()}
    assert feedback(answer(claim(bob, mixed))) is None


@pytest.mark.parametrize(("when", "score"), [("never", 1), ("always", 0)])
def test_who_was_told_cannot_undo_and_be_right(mixed, bob, when, score):
    mixed.gold_feedback = when
    mixed.save()
    make_gold(mixed)
    make_comparison(mixed)
    wrong = answer(claim(bob, mixed, GOLD), right=False)
    undo(annotator=bob, ranking=wrong, idempotency_key="undo")
    again = answer(claim(bob, mixed), key="again")
    assert again.comparison == wrong.comparison
    assert again.gold_score == score


# Repeats


@pytest.fixture
def busy(mixed, bob):
    """Bob has judged ten comparisons; more are waiting."""
    for _ in range(20):
        make_comparison(mixed)
    return judge(bob, mixed, 10)


def test_a_repeat_shows_an_earlier_comparison_the_other_way_round(mixed, bob, busy):
    held = claim(bob, mixed, REPEAT)
    repeat = Comparison.objects.get(pk=held.comparison_id)
    first = repeat.repeats.rankings.get()
    assert (repeat.rule, repeat.is_queued, repeat.reserved_for) == (Rule.REPEAT, False, bob)
    assert (repeat.judgments_wanted, repeat.judgments_taken) == (1, 1)
    assert held.order == first.order[::-1]
    assert first in busy[:5]  # five others lie between
    assert list(repeat.slots.values_list("completion", "position")) == list(
        repeat.repeats.slots.values_list("completion", "position")
    )


def test_nothing_is_repeated_twice(mixed, bob, busy):
    repeated = []
    while (held := claim(bob, mixed, REPEAT)) and held.comparison.rule == Rule.REPEAT:
        repeated.append(held.comparison.repeats_id)
        answer(held)
        answer(claim(bob, mixed))
    assert len(repeated) == len(set(repeated)) >= 5


def test_no_repeat_before_ten_judgments(mixed, bob):
    for _ in range(12):
        make_comparison(mixed)
    for _ in range(10):
        held = claim(bob, mixed, REPEAT)
        assert held.comparison.is_queued
        answer(held)
    assert claim(bob, mixed, REPEAT).comparison.rule == Rule.REPEAT


def test_ties_and_verdicts_are_not_repeated(mixed, bob):
    for _ in range(20):
        make_comparison(mixed)
    for number in range(12):
        held = claim(bob, mixed)
        tie = Judgment(ranks=dict.fromkeys(held.order, 1))
        given = Judgment(verdict=Verdict.ALL_BAD) if number == 11 else tie
        submit(assignment=held, judgment=given, idempotency_key=str(number))
    assert claim(bob, mixed, REPEAT).comparison.is_queued


def test_a_repeat_let_go_goes_to_the_same_person_only(mixed, bob, carol, busy):
    held = claim(bob, mixed, REPEAT)
    queue.release(held)
    judge(carol, mixed, 2)
    assert all(claim(carol, mixed, REPEAT).comparison.is_queued for _ in range(2))
    answer(claim(bob, mixed))
    again = claim(bob, mixed, REPEAT)
    assert (again.comparison, again.order) == (held.comparison, held.order)


def test_a_repeat_that_was_skipped_does_not_come_back(mixed, bob, busy):
    held = claim(bob, mixed, REPEAT)
    skip(assignment=held, reason="")
    answer(claim(bob, mixed))
    assert claim(bob, mixed, REPEAT).comparison != held.comparison


def test_a_late_answer_to_a_repeat_is_taken(mixed, bob, busy):
    held = claim(bob, mixed, REPEAT)
    queue.release(held)
    assert answer(held).is_live
    held.comparison.refresh_from_db()
    assert held.comparison.judgments_taken == 1


def test_choosing_a_repeat_reads_no_more_with_a_long_history(mixed, bob, busy):
    with CaptureQueriesContext(connection) as queries:
        assert not claim(bob, mixed, REPEAT).comparison.is_queued
    (history,) = [
        query["sql"] for query in queries.captured_queries if '"annotator_ranking"."ranks"' in query["sql"]
    ]
    assert history.endswith("LIMIT 200")


# Qualification


@pytest.fixture
def entrance(project):
    """Three gold questions before the work, five there are; real work waits."""
    project.qualification_questions = 3
    project.save()
    for _ in range(5):
        make_gold(project)
    make_comparison(project, wanted=5)
    return project


def test_who_passes_gets_real_work(entrance, bob):
    for _ in range(3):
        held = claim(bob, entrance)
        assert held.comparison.rule == Rule.GOLD
        ranking = answer(held)
        assert feedback(ranking) is not None
    assert membership(bob, entrance).qualified_at is not None
    assert feedback(ranking) is not None  # also when asked for again
    assert claim(bob, entrance).comparison.is_queued


def test_who_does_not_pass_is_paused_with_the_figures(entrance, bob):
    for right in (True, True, False):
        answer(claim(bob, entrance), right=right)
    member = membership(bob, entrance)
    assert (member.pause_kind, member.qualified_at) == (PauseKind.QUALIFICATION, None)
    assert member.pause_facts == {"mean": 0.667, "of": 3, "pass_share": 0.7}
    assert "67%" in watch.reason(member) and "70%" in watch.reason(member)
    assert claim(bob, entrance) is None
    watch.lift(member, None)
    assert claim(bob, entrance).comparison.is_queued


def test_fetching_ahead_ends_with_the_last_question(entrance, bob):
    held = [claim(bob, entrance, holding=range(10_000)) for _ in range(3)]
    assert len({assignment.comparison_id for assignment in held}) == 3
    assert claim(bob, entrance, holding=[assignment.pk for assignment in held]) is None
    for assignment in held:
        answer(assignment)
    assert membership(bob, entrance).qualified_at is not None


def test_skipping_questions_is_no_way_in(entrance, bob):
    for _ in range(5):
        skip(assignment=claim(bob, entrance), reason="")
    assert membership(bob, entrance).pause_kind == PauseKind.QUALIFICATION


def test_no_gold_questions_block_nobody(project, bob):
    project.qualification_questions = 3
    project.save()
    make_comparison(project)
    assert claim(bob, project).comparison.is_queued
    assert membership(bob, project).qualified_at is not None


def test_fewer_gold_questions_than_wanted_are_enough(entrance, bob):
    entrance.qualification_questions = 50
    entrance.save()
    for _ in range(5):
        answer(claim(bob, entrance))
    assert claim(bob, entrance).comparison.is_queued


def test_managers_and_simulated_annotators_need_not_qualify(entrance, alice):
    robot = make_member(entrance, user=make_user("sim-1", is_simulated=True))
    assert claim(alice, entrance).comparison.is_queued
    assert claim(robot, entrance).comparison.is_queued
