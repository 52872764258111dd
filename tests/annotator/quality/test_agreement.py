"""Agreement, worked out by hand."""

import pytest

from annotator.quality.agreement import credits, pairwise_agreement
from annotator.ranking import queue
from annotator.ranking.submit import Judgment, submit
from tests.factories import make_comparison, make_member, make_user

pytestmark = pytest.mark.django_db


def judge(project, *votes, k=2):
    """A comparison in which each vote is (annotator, ranks of the completions in the order of their ids)."""
    make_comparison(project, wanted=len(votes), k=k)
    for annotator, ranks in votes:
        held = queue.claim_next(annotator=annotator, project=project)
        judgment = Judgment(ranks=dict(zip(sorted(held.order), ranks, strict=True)))
        submit(assignment=held, judgment=judgment, idempotency_key=f"{held.pk}")


def test_credits_are_one_half_for_ties():
    same = {"1": 1, "2": 2, "3": 3}
    assert list(credits(same, same)) == [1, 1, 1]
    assert list(credits(same, {"1": 3, "2": 2, "3": 1})) == [0, 0, 0]
    assert list(credits(same, {"1": 1, "2": 1, "3": 2})) == [0.5, 1, 1]
    assert list(credits({"1": 1, "2": 1}, {"1": 1, "2": 1})) == [0.5]


def test_one_voice_has_nobody_to_agree_with(project, bob, carol):
    assert pairwise_agreement(project) is None
    judge(project, (bob, (1, 2)))
    judge(project, (carol, (1, 2)))
    assert pairwise_agreement(project) is None


def test_three_of_four(project, bob, carol):
    for ranks in ((1, 2), (1, 2), (2, 1)):
        judge(project, (bob, ranks), (carol, ranks))
    judge(project, (bob, (1, 2)), (carol, (2, 1)))
    agreement = pairwise_agreement(project)
    assert (agreement.value, agreement.pairs) == (0.75, 4)
    # Of four prompts drawn with replacement, all are among the three with chance 0.75^4 = 0.32; at least
    # three are the one without agreement with chance 13/256 = 0.05, all four with 1/256.
    assert (agreement.low, agreement.high) == (0.25, 1)


def test_full_agreement_has_no_width(project, bob, carol):
    for _ in range(3):
        judge(project, (bob, (1, 2)), (carol, (1, 2)))
    agreement = pairwise_agreement(project)
    assert (agreement.value, agreement.low, agreement.high) == (1, 1, 1)


def test_rankings_of_three_by_three_people(project, alice, bob, carol):
    judge(project, (alice, (1, 2, 3)), (bob, (1, 2, 3)), (carol, (3, 2, 1)), k=3)
    agreement = pairwise_agreement(project)
    assert agreement.pairs == 9  # three pairs of completions, three pairs of people
    assert agreement.value == pytest.approx(3 / 9)  # alice with bob only


def test_simulated_people_can_be_looked_at_apart(project, bob, carol):
    robots = [make_member(project, user=make_user(name, is_simulated=True)) for name in ("r1", "r2")]
    judge(project, (bob, (1, 2)), (carol, (1, 2)), (robots[0], (1, 2)), (robots[1], (2, 1)))
    assert pairwise_agreement(project, simulated=False).value == 1
    assert pairwise_agreement(project, simulated=True).value == 0
    assert pairwise_agreement(project).pairs == 6
