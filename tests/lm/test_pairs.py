"""Rankings become pairs, each pair in one order."""

from __future__ import annotations

from rlhf.lm.data import Judgment
from rlhf.lm.pairs import Pair, judged_pairs


def test_a_ranking_of_three_makes_three_pairs_that_weigh_two() -> None:
    judgment = Judgment("1", "t", "bob", completions=("b", "c", "a"), ranks=(1, 2, 2))
    assert judged_pairs([judgment]) == [
        Pair("t", "bob", "a", "b", outcome=0.0, judgment_id="1", weight=2 / 3),  # b has the better rank
        Pair("t", "bob", "a", "c", outcome=0.5, judgment_id="1", weight=2 / 3),
        Pair("t", "bob", "b", "c", outcome=1.0, judgment_id="1", weight=2 / 3),
    ]


def test_an_annotators_own_text_stands_above_those_shown() -> None:
    judgment = Judgment("1", "t", "bob", ("b", "a"), (1, 2), strength=3, improved="aa")
    said = {(p.first, p.second): (p.outcome, p.strength) for p in judged_pairs([judgment])}
    assert said == {("a", "aa"): (0.0, None), ("a", "b"): (0.0, 3), ("aa", "b"): (1.0, None)}


def test_where_all_are_bad_only_an_own_text_makes_pairs() -> None:
    assert judged_pairs([Judgment("1", "t", "bob", ("a", "b"), (1, 1), all_bad=True)]) == []
    own = Judgment("2", "t", "bob", ("a", "b"), (1, 1), all_bad=True, improved="c")
    said = [(p.first, p.second, p.outcome) for p in judged_pairs([own])]
    assert said == [("a", "c", 0.0), ("b", "c", 0.0)]


def test_the_order_shown_does_not_matter_but_the_annotator_does() -> None:
    one = Judgment("1", "t", "bob", completions=("a", "b"), ranks=(1, 2))
    other = Judgment("2", "t", "carol", completions=("b", "a"), ranks=(2, 1), simulated=True)
    first, second = judged_pairs([one, other])
    assert (first.first, first.second, first.outcome) == (second.first, second.second, second.outcome)
    assert (first.annotator, second.annotator) == ("bob", "carol")
    assert (first.simulated, second.simulated) == (False, True)


def test_a_text_is_not_compared_with_itself() -> None:
    assert judged_pairs([Judgment("1", "t", "bob", completions=("a", "a"), ranks=(1, 2))]) == []
