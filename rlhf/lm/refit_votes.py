"""The judgments that heads are refitted to, as arrays: each is converted once, and masked when undone."""

from __future__ import annotations

from collections.abc import Collection, Sequence

import numpy as np
import numpy.typing as npt

from rlhf.lm.configs import RewardConfig
from rlhf.lm.data import Judgment
from rlhf.lm.pairs import judged_pairs
from rlhf.lm.reward_data import Indices, arrays_of, is_order, orders_of, verdict_rows
from rlhf.lm.reward_heads import PairArrays, RankingArrays

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Chosen = npt.NDArray[np.bool_]

WIDEST = 10  # nine completions and the annotator's own


class Votes:
    """Grows with what is added. `rows` says which number stands for which (task id, text)."""

    def __init__(self, config: RewardConfig) -> None:
        self.config = config
        self.rows: dict[tuple[str, str], int] = {}
        self.people: dict[str, int] = {}
        self.tasks: dict[str, int] = {}
        self.numbers: dict[str, int] = {}  # of judgments
        self._pairs = arrays_of([], Indices(self.rows, self.people, self.tasks))
        self._pair_of: Ints = np.zeros(0, np.int64)  # which judgment
        self._verdicts = _empty()
        self._orders = _empty()
        self._order_of: Ints = np.zeros(0, np.int64)
        self._importance: list[Floats] = []

    def add(self, judgments: Sequence[Judgment]) -> None:
        """Judgments that are not there yet, whose texts all have their rows."""
        if not judgments:
            return
        for judgment in judgments:
            self.numbers[judgment.id] = len(self.numbers)
            self.people.setdefault(judgment.annotator, len(self.people))
            if judgment.task_id not in self.tasks:
                self.tasks[judgment.task_id] = len(self.tasks)
                self._importance.append(self._draw(judgment.task_id))
        indices = Indices(self.rows, self.people, self.tasks)
        whole = [j for j in judgments if self.config.rankings == "plackett_luce" and is_order(j)]
        as_orders = {judgment.id for judgment in whole}
        pairs = judged_pairs(judgment for judgment in judgments if judgment.id not in as_orders)
        self._pairs = _joined(self._pairs, arrays_of(pairs, indices))
        self._pair_of = _appended(self._pair_of, [self.numbers[pair.judgment_id] for pair in pairs])
        self._verdicts = _joined_rankings(self._verdicts, verdict_rows(judgments, indices))
        if whole:
            self._orders = _joined_rankings(self._orders, orders_of(whole, indices))
            self._order_of = _appended(self._order_of, [self.numbers[j.id] for j in whole])

    def of(self, live: Collection[str]) -> tuple[PairArrays, RankingArrays | None, RankingArrays | None]:
        """Pairs, whole orders and verdicts (where anybody found all bad) of these judgments."""
        counts = self._counts(live)
        pairs = self._pairs.take(counts[self._pair_of])
        orders = _taken(self._orders, counts[self._order_of]) if len(self._orders) else None
        verdicts = _taken(self._verdicts, counts)
        return pairs, orders, verdicts if verdicts.all_bad.any() else None

    def count(self, live: Collection[str]) -> int:
        return int(self._counts(live).sum())

    def judged_rows(self) -> Ints:
        """The rows of the texts that judgments are about, an annotator's own too."""
        parts = [
            self._pairs.first,
            self._pairs.second,
            self._orders.rows.ravel(),
            self._verdicts.rows.ravel(),
        ]
        rows = np.unique(np.concatenate(parts))
        return rows[rows >= 0]

    def importance(self) -> Floats | None:
        """What each head makes of each task (heads, tasks), the same whatever comes later; None of one head.

        A Bayesian bootstrap as in training: exponential draws, which it makes Dirichlet ones by their sum.
        """
        return np.stack(self._importance, 1) if self.config.heads > 1 else None

    def _draw(self, task_id: str) -> Floats:
        seed = [self.config.seed, *task_id.encode()]
        return np.random.default_rng(seed).exponential(size=self.config.heads)

    def _counts(self, live: Collection[str]) -> Chosen:
        counts = np.zeros(len(self.numbers), dtype=bool)
        counts[[self.numbers[name] for name in live if name in self.numbers]] = True
        return counts


def _empty() -> RankingArrays:
    nobody = np.zeros(0, np.int64)
    wide = np.zeros((0, WIDEST), np.int64)
    return RankingArrays(wide, nobody, nobody, ranks=wide, all_bad=np.zeros(0))


def _appended(before: Ints, after: Sequence[int]) -> Ints:
    return np.concatenate([before, np.array(after, dtype=np.int64)])


def _joined(before: PairArrays, after: PairArrays) -> PairArrays:
    return PairArrays(*(np.concatenate([vars(before)[n], vars(after)[n]]) for n in vars(before)))


def _joined_rankings(before: RankingArrays, after: RankingArrays) -> RankingArrays:
    """With rows as wide as the widest; a table that `after` does not have stays empty."""
    missing = WIDEST - after.rows.shape[1]
    rows = np.pad(after.rows, ((0, 0), (0, missing)), constant_values=-1)
    ranks = (
        np.pad(after.ranks, ((0, 0), (0, missing))) if len(after.ranks) else np.zeros((0, WIDEST), np.int64)
    )
    return RankingArrays(
        np.concatenate([before.rows, rows]),
        np.concatenate([before.annotators, after.annotators]),
        np.concatenate([before.tasks, after.tasks]),
        ranks=np.concatenate([before.ranks, ranks]),
        all_bad=np.concatenate([before.all_bad, after.all_bad]),
    )


def _taken(rankings: RankingArrays, chosen: Chosen) -> RankingArrays:
    rows = rankings.rows[chosen]
    used = int((rows >= 0).sum(1).max()) if len(rows) else 0
    return RankingArrays(
        rows[:, :used],
        rankings.annotators[chosen],
        rankings.tasks[chosen],
        ranks=rankings.ranks[chosen][:, :used] if len(rankings.ranks) else np.zeros((0, 0), np.int64),
        all_bad=rankings.all_bad[chosen] if len(rankings.all_bad) else np.zeros(0),
    )
