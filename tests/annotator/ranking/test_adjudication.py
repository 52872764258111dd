"""A manager's decision stands in place of the annotators', who lose nothing by it."""

import pytest

from annotator.exports.writing import rows
from annotator.models import Assignment, Comparison, Ranking, Role, Verdict
from annotator.pseudonyms import pseudonym
from annotator.quality import wins
from annotator.quality.agreement import pairwise_agreement
from annotator.ranking import queue
from annotator.ranking.adjudication import adjudicate, withdraw
from annotator.ranking.judgments import InvalidJudgment, Judgment
from annotator.ranking.submit import undo
from tests.factories import make_comparison, make_member, make_ranking

pytestmark = pytest.mark.django_db


@pytest.fixture
def disputed(project, bob, carol):
    """Bob prefers the first of two, Carol the second."""
    comparison = make_comparison(project, wanted=2)
    make_ranking(project, bob, first=0)
    make_ranking(project, carol, first=1)
    comparison.refresh_from_db()
    return comparison


def order(comparison, first=1):
    ids = sorted(comparison.slots.values_list("completion", flat=True))
    return Judgment(ranks={pk: 1 if pk == ids[first] else 2 for pk in ids})


def decide(comparison, manager, key="decision", **values):
    return adjudicate(
        comparison=comparison, manager=manager, judgment=order(comparison, **values), idempotency_key=key
    )


def test_the_decision_is_the_only_vote(project, alice, disputed):
    ids = sorted(disputed.slots.values_list("completion", flat=True))
    ranking = decide(disputed, alice)
    disputed.refresh_from_db()
    assert list(Ranking.objects.votes()) == [ranking]
    assert Ranking.objects.live().count() == 3
    record = wins.of_prompt(disputed.prompt)
    assert (record[ids[1]].share, record[ids[1]].pairs) == (1.0, 1)
    assert (disputed.judgments_taken, disputed.judgments_wanted, disputed.is_adjudicated) == (3, 3, True)
    assert ranking.assignment.state == Assignment.State.SUBMITTED


def test_preferences_are_exported_from_the_decision_and_judgments_from_everybody(
    project, alice, bob, carol, disputed
):
    ids = sorted(disputed.slots.values_list("completion", flat=True))
    decide(disputed, alice)
    (line,) = rows(project, format="trl")
    assert (line["chosen_id"], line["rejected_id"]) == (ids[1], ids[0])
    assert line["annotators"] == [pseudonym(project, alice.pk)]
    assert [(row["annotator"], row["live"], row["decision"]) for row in rows(project, format="raw")] == [
        (pseudonym(project, bob.pk), True, False),
        (pseudonym(project, carol.pk), True, False),
        (pseudonym(project, alice.pk), True, True),
    ]


def test_agreement_is_measured_without_the_decision(project, alice, disputed):
    before = pairwise_agreement(project)
    assert (before.value, before.pairs) == (0.0, 1)
    decide(disputed, alice)
    assert pairwise_agreement(project) == before


def test_withdrawn_the_annotators_votes_count_again(alice, disputed):
    ranking = decide(disputed, alice)
    undone = withdraw(comparison=disputed, manager=alice, idempotency_key="back")
    disputed.refresh_from_db()
    assert undone.supersedes == ranking
    assert Ranking.objects.votes().filter(is_adjudication=False).count() == 2
    assert Ranking.objects.votes().count() == 2
    assert (disputed.judgments_taken, disputed.judgments_wanted, disputed.is_adjudicated) == (2, 2, False)
    assert withdraw(comparison=disputed, manager=alice, idempotency_key="back") == undone
    with pytest.raises(InvalidJudgment):
        withdraw(comparison=disputed, manager=alice, idempotency_key="again")


def test_a_second_decision_follows_the_withdrawn_one(project, alice, disputed):
    decide(disputed, alice)
    other = make_member(project, Role.MANAGER)
    undone = withdraw(comparison=disputed, manager=other, idempotency_key="back")
    assert decide(disputed, other, "second", first=0).supersedes == undone


def test_the_same_key_decides_once(alice, disputed):
    assert decide(disputed, alice) == decide(disputed, alice)
    assert Ranking.objects.count() == 3


def test_a_key_belongs_to_one_judgment(project, alice, bob, disputed):
    decide(disputed, alice)
    another = make_comparison(project)
    make_ranking(project, bob)
    with pytest.raises(InvalidJudgment):
        decide(another, alice)


@pytest.mark.parametrize("key", ["", "k" * 65])
def test_a_key_has_1_to_64_characters(alice, disputed, key):
    with pytest.raises(InvalidJudgment):
        decide(disputed, alice, key)


def test_it_is_refused_twice(project, alice, disputed):
    decide(disputed, alice)
    with pytest.raises(InvalidJudgment):
        decide(disputed, make_member(project, Role.MANAGER), "other")
    assert Ranking.objects.count() == 3


def test_whoever_judged_it_does_not_decide_it(bob, disputed):
    with pytest.raises(InvalidJudgment):
        decide(disputed, bob)


def test_there_is_nothing_to_decide_before_a_judgment(project, alice):
    with pytest.raises(InvalidJudgment):
        decide(make_comparison(project), alice)


def test_gold_questions_and_repeats_are_not_decided(alice, disputed):
    for rule in (Comparison.Rule.GOLD, Comparison.Rule.REPEAT):
        Comparison.objects.filter(pk=disputed.pk).update(is_queued=False, rule=rule)
        with pytest.raises(InvalidJudgment):
            decide(disputed, alice)


def test_a_judgment_that_does_not_fit_changes_nothing(alice, disputed):
    for judgment in (Judgment(), Judgment(verdict=Verdict.ALL_BAD, improved_text="Better.")):
        with pytest.raises(InvalidJudgment):
            adjudicate(comparison=disputed, manager=alice, judgment=judgment, idempotency_key="k")
    disputed.refresh_from_db()
    assert (disputed.judgments_taken, disputed.judgments_wanted, disputed.is_adjudicated) == (2, 2, False)


def test_the_managers_own_lease_is_given_back(project, alice, bob):
    comparison = make_comparison(project, wanted=2)
    make_ranking(project, bob)
    held = queue.claim_next(annotator=alice, project=project)
    decide(comparison, alice)
    held.refresh_from_db()
    comparison.refresh_from_db()
    assert held.state == Assignment.State.RELEASED
    assert (comparison.judgments_taken, comparison.judgments_wanted) == (2, 3)
    assert queue.claim_next(annotator=alice, project=project) is None


def test_the_ranking_page_does_not_undo_a_decision(alice, disputed):
    ranking = decide(disputed, alice)
    with pytest.raises(InvalidJudgment):
        undo(annotator=alice, ranking=ranking, idempotency_key="undo")
    assert Ranking.objects.votes().get() == ranking
