"""From judgments and pairs to the arrays that heads are fitted to: indices of texts, annotators and tasks."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from rlhf.lm.data import Dataset, Judgment
from rlhf.lm.pairs import Pair
from rlhf.lm.reward_heads import PairArrays, RankingArrays

Row = Mapping[tuple[str, str], int]


@dataclass(frozen=True)
class Indices:
    """Which number stands for which text of which task, which annotator, which task."""

    row: Row
    people: Mapping[str, int]
    tasks: Mapping[str, int]

    @classmethod
    def of(cls, dataset: Dataset, texts: Sequence[tuple[str, str]]) -> Indices:
        """The texts in the order given, annotators by name, tasks as they come."""
        people = sorted({judgment.annotator for judgment in dataset.judgments})
        return cls(
            {text: n for n, text in enumerate(texts)},
            {name: n for n, name in enumerate(people)},
            {name: n for n, name in enumerate(dataset.tasks)},
        )


def texts_of(dataset: Dataset) -> list[tuple[str, str]]:
    """Each text that a judgment is about, an annotator's own too, with its task: (task id, text), sorted."""
    return sorted(
        {
            (judgment.task_id, text)
            for judgment in dataset.judgments
            for text in (*judgment.completions, *([judgment.improved] if judgment.improved else []))
        }
    )


def arrays_of(pairs: Sequence[Pair], indices: Indices) -> PairArrays:
    """All that pairs say, as arrays."""

    def whole(value: Callable[[Pair], int]) -> np.ndarray:
        return np.array([value(pair) for pair in pairs], dtype=np.int64)

    def number(value: Callable[[Pair], float]) -> np.ndarray:
        return np.array([value(pair) for pair in pairs], dtype=np.float64)

    return PairArrays(
        first=whole(lambda p: indices.row[p.task_id, p.first]),
        second=whole(lambda p: indices.row[p.task_id, p.second]),
        outcomes=number(lambda p: p.outcome),
        annotators=whole(lambda p: indices.people[p.annotator]),
        tasks=whole(lambda p: indices.tasks[p.task_id]),
        strengths=number(lambda p: p.strength or 0),
        weights=number(lambda p: p.weight),
    )


def is_order(judgment: Judgment) -> bool:
    """Whether it ranks three texts or more, so that it says more as a whole than pair by pair."""
    return not judgment.all_bad and len(set(judgment.completions)) + bool(judgment.improved) > 2


def orders_of(judgments: Sequence[Judgment], indices: Indices) -> RankingArrays:
    """Rankings as wholes; the annotator's own text comes first, a text given twice counts once."""
    placed = []
    for judgment in judgments:
        said = dict(zip(judgment.completions, judgment.ranks, strict=True))
        placed.append(said | ({judgment.improved: 0} if judgment.improved else {}))
    rows, filled = _table(judgments, [list(said) for said in placed], indices)
    ranks = np.zeros_like(rows)
    for n, said in enumerate(placed):
        ranks[n, : len(said)] = np.array(list(said.values())) + 1
    ranks[~filled] = 0
    return RankingArrays(rows, *_whose(judgments, indices), ranks=ranks)


def verdicts_of(judgments: Sequence[Judgment], indices: Indices) -> RankingArrays | None:
    """Whether each judgment found all bad; None if none did: then perhaps nobody was asked."""
    if not any(judgment.all_bad for judgment in judgments):
        return None
    return verdict_rows(judgments, indices)


def verdict_rows(judgments: Sequence[Judgment], indices: Indices) -> RankingArrays:
    """Whether each judgment found all bad, whoever did."""
    rows, _ = _table(judgments, [list(dict.fromkeys(j.completions)) for j in judgments], indices)
    all_bad = np.array([float(judgment.all_bad) for judgment in judgments])
    return RankingArrays(rows, *_whose(judgments, indices), all_bad=all_bad)


def _table(
    judgments: Sequence[Judgment], texts: Sequence[Sequence[str]], indices: Indices
) -> tuple[np.ndarray, np.ndarray]:
    """Rows of text numbers, -1 where one is shorter than the longest, and where they are filled."""
    rows = np.full((len(judgments), max(map(len, texts), default=0)), -1, dtype=np.int64)
    for n, (judgment, shown) in enumerate(zip(judgments, texts, strict=True)):
        rows[n, : len(shown)] = [indices.row[judgment.task_id, text] for text in shown]
    return rows, rows >= 0


def _whose(judgments: Sequence[Judgment], indices: Indices) -> tuple[np.ndarray, np.ndarray]:
    return (
        np.array([indices.people[j.annotator] for j in judgments], dtype=np.int64),
        np.array([indices.tasks[j.task_id] for j in judgments], dtype=np.int64),
    )
