"""What counts as a contradiction, and which comparisons a manager is shown."""

import pytest

from annotator.models import Verdict
from annotator.ranking import disagreement
from annotator.ranking.adjudication import adjudicate
from annotator.ranking.disagreement import contradiction, disagreements
from annotator.ranking.judgments import Judgment
from tests.factories import make_comparison, make_ranking

RANKED, BAD = Verdict.RANKED, Verdict.ALL_BAD


@pytest.mark.parametrize(
    ("votes", "share"),
    [
        ([], 0),
        ([(RANKED, {"1": 1, "2": 2})], 0),
        ([(RANKED, {"1": 1, "2": 2}), (RANKED, {"1": 2, "2": 1})], 1),
        ([(RANKED, {"1": 1, "2": 2}), (RANKED, {"1": 1, "2": 1})], 0),
        ([(RANKED, {"1": 1, "2": 2}), (BAD, {})], 1),
        ([(BAD, {}), (BAD, {})], 0),
        # 1 < 2 < 3 and 2 < 1 < 3: one pair of three.
        ([(RANKED, {"1": 1, "2": 2, "3": 3}), (RANKED, {"1": 2, "2": 1, "3": 3})], 1 / 3),
        # Of three people one says the opposite: two of three pairs of votes.
        ([(RANKED, {"1": 1, "2": 2})] * 2 + [(RANKED, {"1": 2, "2": 1})], 2 / 3),
    ],
)
def test_contradiction(votes, share):
    assert contradiction(votes) == pytest.approx(share)


@pytest.mark.django_db
def test_the_list_leaves_out_who_agree_and_what_is_decided(project, alice, bob, carol, monkeypatch):
    rows = [make_comparison(project, wanted=2, priority=priority) for priority in (4, 3, 2)]
    for person, firsts in ((bob, (0, 0, 0)), (carol, (1, 0, 1))):
        for first in firsts:
            make_ranking(project, person, first=first)
    assert [row.comparison_id for row in disagreements(project)] == [rows[2].pk, rows[0].pk]
    monkeypatch.setattr(disagreement, "NEWEST", 2)
    assert [row.comparison_id for row in disagreements(project)] == [rows[2].pk]
    adjudicate(
        comparison=rows[2],
        manager=alice,
        judgment=Judgment(verdict=Verdict.ALL_BAD),
        idempotency_key="k",
    )
    monkeypatch.undo()
    assert [row.comparison_id for row in disagreements(project)] == [rows[0].pk]
