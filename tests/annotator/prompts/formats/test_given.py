"""Completions and preferences are put in order, and ranks keep their meaning."""

from hypothesis import given
from hypothesis import strategies as st

from annotator.prompts.formats.given import Given, by_score, dense


def test_dense():
    assert dense([4, 2, 0, 4]) == (2, 1, 0, 2)
    assert dense([]) == ()


def test_by_score():
    assert by_score([7.0, None, 8.5, 7.0]) == (2, 0, 1, 2)


def test_what_is_left_out_takes_its_ranks_along():
    row = Given()
    for name, text in zip("abcd", ["x", " ", "y", "z"], strict=True):
        row.completion(name, text, f"by {name}")
    row.ranking((3, 1, 2, 4))
    completions, (ranking,), left_out = row.result()
    assert [(c.text, c.source) for c in completions] == [("x", "by a"), ("y", "by c"), ("z", "by d")]
    assert (ranking.ranks, left_out) == ((2, 1, 3), ("b (empty)",))


def test_one_text_with_two_ranks_is_not_ranked():
    row = Given()
    for name, text in zip("abc", ["x", "y", "x"], strict=True):
        row.completion(name, text)
    row.ranking((1, 2, 3))
    row.ranking((1, 2, 1))
    _, rankings, left_out = row.result()
    assert [ranking.ranks for ranking in rankings] == [(1, 2)]
    assert left_out == ("c (repeated)", "preference (of fewer than two texts)")


@given(st.lists(st.tuples(st.sampled_from(["", "x", "y", "z"]), st.integers(0, 4)), max_size=8))
def test_the_order_of_what_is_left_is_the_order_given(pairs):
    row = Given()
    for place, (text, _) in enumerate(pairs):
        row.completion(str(place), text)
    row.ranking([rank for _, rank in pairs])
    completions, rankings, _ = row.result()
    texts = [completion.text for completion in completions]
    assert len(set(texts)) == len(texts) and "" not in texts
    said = {}
    for text, rank in pairs:
        if text and rank:
            said.setdefault(text, set()).add(rank)
    for ranking in rankings:
        ranked = {text: rank for text, rank in zip(texts, ranking.ranks, strict=True) if rank}
        assert len(ranked) > 1
        assert set(ranked.values()) == set(range(1, max(ranked.values()) + 1))
        for a in ranked:
            for b in ranked:
                (first,), (second,) = said[a], said[b]
                assert (first < second) == (ranked[a] < ranked[b])
