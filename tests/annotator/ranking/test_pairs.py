"""Chosen and rejected, from what people said."""

import pytest

from annotator.ranking.pairs import ordered_pairs


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
