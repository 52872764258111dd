"""Imported instructions of one task hang together by the comparisons made of them."""

import pytest

from annotator.prompts.comparing import chain


def test_two_or_fewer_than_k():
    assert list(chain([1], 2, seed=0)) == []
    assert [sorted(group) for group in chain([1, 2], 2, seed=0)] == [[1, 2]]
    assert [sorted(group) for group in chain([1, 2, 3], 4, seed=0)] == [[1, 2, 3]]


@pytest.mark.parametrize("k", [2, 3, 4, 9])
@pytest.mark.parametrize("n", [3, 5, 8, 10, 17])
def test_every_text_occurs_and_all_hang_together(n, k):
    ids = list(range(n))
    groups = list(chain(ids, k, seed=1))
    assert all(len(set(group)) == len(group) == min(n, k) for group in groups)
    reached = set(groups[0])
    for group in groups[1:]:
        assert reached & set(group)
        reached |= set(group)
    assert reached == set(ids)


def test_it_is_the_same_each_time():
    assert list(chain([1, 2, 3], 2, seed=5)) == list(chain([1, 2, 3], 2, seed=5))
