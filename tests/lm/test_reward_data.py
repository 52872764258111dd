"""What judgments become as arrays, by hand."""

from __future__ import annotations

from rlhf.lm.data import Dataset, Judgment, Task
from rlhf.lm.pairs import judged_pairs
from rlhf.lm.reward_data import Indices, arrays_of, is_order, orders_of, texts_of, verdicts_of

JUDGMENTS = (
    Judgment("1", "s", "carol", ("b", "a"), (1, 2), strength=2),
    Judgment("2", "t", "bob", ("c", "a", "b"), (2, 1, 2), improved="d"),
    Judgment("3", "t", "carol", ("a", "b"), (1, 1), all_bad=True),
)
DATASET = Dataset({"t": Task("t", "T"), "s": Task("s", "S")}, JUDGMENTS)
TEXTS = [("s", "a"), ("s", "b"), ("t", "a"), ("t", "b"), ("t", "c"), ("t", "d")]
INDICES = Indices.of(DATASET, TEXTS)


def test_texts_are_those_shown_and_those_written() -> None:
    assert texts_of(DATASET) == TEXTS


def test_pairs() -> None:
    arrays = arrays_of(judged_pairs(JUDGMENTS[:1]), INDICES)
    assert {name: array.tolist() for name, array in vars(arrays).items()} == {
        "first": [0],
        "second": [1],
        "outcomes": [0.0],
        "annotators": [1],
        "tasks": [1],
        "strengths": [2.0],
        "weights": [1.0],
    }


def test_orders() -> None:
    assert [is_order(judgment) for judgment in JUDGMENTS] == [False, True, False]
    orders = orders_of(JUDGMENTS[:2], INDICES)
    assert orders.rows.tolist() == [[1, 0, -1, -1], [4, 2, 3, 5]]
    assert orders.ranks.tolist() == [[2, 3, 0, 0], [3, 2, 3, 1]]
    assert (orders.annotators.tolist(), orders.tasks.tolist()) == ([1, 0], [1, 0])


def test_verdicts() -> None:
    verdicts = verdicts_of(JUDGMENTS, INDICES)
    assert verdicts is not None
    assert verdicts.rows.tolist() == [[1, 0, -1], [4, 2, 3], [2, 3, -1]]
    assert verdicts.all_bad.tolist() == [0.0, 0.0, 1.0]
    assert verdicts_of(JUDGMENTS[:2], INDICES) is None
