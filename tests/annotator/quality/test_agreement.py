"""Agreement, worked out by hand."""

import krippendorff
import numpy as np
import pytest
from django.utils import timezone

from annotator.models import Comparison, Ranking
from annotator.quality.agreement import credits, measures, pairwise_agreement, sums_of, tau_b
from annotator.quality.votes import Vote
from annotator.ranking import queue
from annotator.ranking.judgments import Judgment
from annotator.ranking.submit import submit
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


def vote(*ranks, strength=None):
    ranks = {str(number): rank for number, rank in enumerate(ranks)}
    return Vote(annotator=1, ranks=ranks, strength=strength, is_simulated=False, at=timezone.now())


def test_tau_by_hand():
    def tau(one, other):
        return tau_b(vote(*one).ranks, vote(*other).ranks)

    assert tau((1, 2, 3), (1, 2, 3)) == 1
    assert tau((1, 2, 3), (3, 2, 1)) == -1
    assert tau((1, 2, 3), (1, 3, 2)) == pytest.approx(1 / 3)
    # Two of the other's three pairs are ordered, both alike: 2 / sqrt(3 * 2).
    assert tau((1, 2, 3), (1, 1, 2)) == pytest.approx(2 / 6**0.5)
    assert tau((1, 2), (1, 1)) is None


def test_tau_is_the_mean_over_pairs_of_annotators():
    row = sums_of([vote(1, 2), vote(1, 2), vote(2, 1), vote(1, 1)])
    assert (row[2], row[3]) == (1 - 1 - 1, 3)  # those with the tie are undefined
    found = measures(np.array([row]))
    assert found.tau.value == pytest.approx(-1 / 3)
    assert found.pairwise.value == pytest.approx((1 + 3 * 0.5) / 6)


def units_of(comparisons):
    """Annotators' values of units as the package wants them, both orders of each pair."""
    columns = []
    for votes in comparisons:
        column = [(v.strength or 1) * int(np.sign(v.ranks["1"] - v.ranks["0"])) for v in votes]
        columns += [column, [-value for value in column]]
    most = max(map(len, columns))
    return np.array([c + [np.nan] * (most - len(c)) for c in columns], dtype=float).T


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("strengths", [True, False])
def test_alpha_is_that_of_the_package(seed, strengths):
    rng = np.random.default_rng(seed)
    comparisons = []
    for _ in range(30):
        lean = rng.normal()
        votes = []
        for _ in range(rng.integers(2, 6)):
            seen = int(np.clip(round(lean * 2 + rng.normal()), -3, 3))
            ranks = (1, 1) if seen == 0 else (1, 2) if seen > 0 else (2, 1)
            votes.append(vote(*ranks, strength=abs(seen) or None if strengths else None))
        comparisons.append(votes)
    rows = np.array([sums_of(votes) for votes in comparisons])
    expected = krippendorff.alpha(
        reliability_data=units_of(comparisons), level_of_measurement="ordinal", value_domain=range(-3, 4)
    )
    found = measures(rows).alpha
    assert found.value == pytest.approx(expected)
    assert found.low < found.value < found.high


def test_alpha_by_hand():
    # Two comparisons, two people, one alike and one opposed: half the values -1, half 1, and of the
    # eight coincidences four are opposed. Expected by chance: 4 * 4 * 2 / 7. 1 - 4 / (32 / 7) = 1/8.
    rows = np.array([sums_of([vote(1, 2), vote(1, 2)]), sums_of([vote(1, 2), vote(2, 1)])])
    assert measures(rows).alpha.value == pytest.approx(1 / 8)


def test_strengths_count_only_where_all_gave_one():
    with_all = sums_of([vote(1, 2, strength=3), vote(1, 2, strength=1)])
    assert with_all[4:].reshape(7, 7)[6, 4] == 1
    without = sums_of([vote(1, 2, strength=3), vote(1, 2)])
    assert without[4:].reshape(7, 7)[4, 4] == 2


def test_everybody_calling_everything_a_tie_is_no_alpha():
    found = measures(np.array([sums_of([vote(1, 1), vote(1, 1)])]))
    assert found.alpha is None
    assert found.tau is None
    assert found.pairwise.value == 0.5


def test_many_prompts_are_resampled_in_blocks():
    rng = np.random.default_rng(0)
    rows = np.array([sums_of([vote(1, 2), vote(*rng.permutation([1, 2]).tolist())]) for _ in range(3000)])
    found = measures(rows).pairwise
    width = 2 * 1.96 * (0.25 / 3000) ** 0.5
    assert found.high - found.low == pytest.approx(width, rel=0.15)


def test_gold_repeats_and_adjudications_do_not_count(project, bob, carol):
    judge(project, (bob, (1, 2)), (carol, (1, 2)))
    judge(project, (bob, (1, 2)), (carol, (2, 1)))
    second = Comparison.objects.latest("pk")
    Comparison.objects.filter(pk=second.pk).update(is_queued=False)
    assert pairwise_agreement(project).value == 1
    Comparison.objects.filter(pk=second.pk).update(is_queued=True)
    Ranking.objects.filter(comparison=second, annotator=carol).update(is_adjudication=True)
    assert pairwise_agreement(project).pairs == 1
