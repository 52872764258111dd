"""Chosen and rejected, from what people said."""

import pytest

from annotator.ranking import pairs, queue
from annotator.ranking.pairs import ordered_pairs, pairs_of
from annotator.ranking.submit import undo
from tests.factories import make_comparison, make_ranking


@pytest.mark.parametrize(
    ("verdict", "ranks", "improved", "expected"),
    [
        ("ranked", {1: 1, 2: 2}, None, [(1, 2)]),
        ("ranked", {1: 2, 2: 1}, None, [(2, 1)]),
        ("ranked", {1: 1, 2: 1}, None, []),
        ("ranked", {1: 2, 2: 1, 3: 2}, None, [(2, 1), (2, 3)]),
        ("ranked", {1: 3, 2: 1, 3: 2}, None, [(2, 1), (3, 1), (2, 3)]),
        ("ranked", {1: 1, 2: 2}, 9, [(9, 1), (9, 2), (1, 2)]),
        ("ranked", {1: 1, 2: 1}, 9, [(9, 1), (9, 2)]),
        ("ranked", {1: 1, 2: 2}, 1, [(1, 2), (1, 2)]),
        ("all_bad", {}, None, []),
        ("all_bad", {1: 1, 2: 2}, None, []),
        ("all_bad", {}, 9, [(9, 1), (9, 2)]),
        ("cannot_judge", {}, 9, []),
        ("undone", {1: 1, 2: 2}, None, []),
    ],
)
def test_edited_over_chosen_over_rejected(verdict, ranks, improved, expected):
    shown = sorted(ranks or {2: 0, 1: 0}, reverse=True)
    assert ordered_pairs(verdict, ranks, shown, improved) == expected


@pytest.mark.django_db
def test_pairs_carry_their_rows_and_only_live_judgments_count(project, bob, monkeypatch):
    monkeypatch.setattr(pairs, "CHUNK", 2)
    rankings = []
    for _ in range(5):
        comparison = make_comparison(project)
        rankings.append(make_ranking(project, bob, improved_text=f"Better {comparison.pk}"))
    undo(annotator=bob, ranking=rankings[1], idempotency_key="undo")
    found = list(pairs_of(project))
    assert [pair.ranking for pair in found] == [r for n, r in enumerate(rankings) if n != 1 for _ in range(3)]
    best, good = found[0], found[2]
    assert best.chosen.text == f"Better {rankings[0].comparison_id}"
    assert rankings[0].ranks[str(good.chosen.pk)] == 1
    assert rankings[0].ranks[str(good.rejected.pk)] == 2
    assert good.prompt == rankings[0].comparison.prompt


@pytest.mark.django_db
def test_it_asks_the_database_a_bounded_number_of_times(project, bob, django_assert_max_num_queries):
    for _ in range(10):
        make_comparison(project)
        make_ranking(project, bob)
    with django_assert_max_num_queries(4):
        assert len(list(pairs_of(project))) == 10
    assert queue.claim_next(annotator=bob, project=project) is None
