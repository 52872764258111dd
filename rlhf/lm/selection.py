"""Which completions people are asked to compare: at random, where heads would learn most of it, again.

That is by BALD's mutual information or by what a pair adds to a D-optimal design, both of
`rlhf.lm.acquisition`; or the best are sought by double Thompson sampling over the heads of a reward model
(Dwaracherla et al. 2024, arXiv 2402.00396). A share is always random, since only an unbiased stream can
judge the model, and a share is repeated, since only a repeat shows how far an annotator agrees with others
and with themselves.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from rlhf.lm.acquisition import BALD, BY_HEADS, RANDOM, THOMPSON, Design, bald, by_heads, probabilities

Floats = npt.NDArray[np.float64]
Places = tuple[int, ...]

REPEAT = "repeat"
RULES = (RANDOM, THOMPSON, BALD, BY_HEADS)
"""By which sets can be chosen."""
TRIES = 20  # draws of a new set before all of them are gone through


@dataclass(frozen=True)
class Candidates:
    """The completions of one task, by their place; with what each head says of them, if there is a model."""

    task_id: str
    count: int
    head_scores: Floats | None = None  # (count, K)
    judged: tuple[Places, ...] = ()  # sets that were compared before


@dataclass(frozen=True)
class Choice:
    """Completions of a task to be shown together; the higher the priority in (0, 1], the sooner."""

    task_id: str
    completions: Places
    priority: float
    rule: str


def choose(
    tasks: Sequence[Candidates],
    *,
    count: int,
    rule: str = BY_HEADS,
    size: int = 2,
    random_share: float = 0.2,
    repeat_share: float = 0.1,
    seed: int = 0,
) -> list[Choice]:
    """Up to `count` choices of `size` completions (or all, where a task has fewer), most wanted first.

    Shares are kept from the first choice on, so that they hold wherever people stop. No set is chosen
    twice or anew if it was judged, but as a repeat. Sets of a task without scores are random, whatever
    the rule. The same arguments choose the same.
    """
    if size < 2:
        raise ValueError(f"a comparison needs at least two completions, not {size}")
    if rule not in RULES:
        raise ValueError(f"unknown rule of selection: {rule}")
    rng = np.random.default_rng(seed)
    open_tasks = [_Task(task, min(size, task.count)) for task in tasks if task.count >= 2]
    repeatable = [(task.task_id, judged) for task in tasks for judged in task.judged]
    rng.shuffle(repeatable)
    is_known = any(task.candidates.head_scores is not None for task in open_tasks)
    teaching = _Teaching(open_tasks, rule) if rule in (BALD, BY_HEADS) and is_known else None
    chosen: list[tuple[str, Places, str]] = []
    while len(chosen) < count:
        open_tasks = [task for task in open_tasks if not task.exhausted]
        draw = rng.random()
        if repeatable and (draw < repeat_share or not open_tasks):
            chosen.append((*repeatable.pop(), REPEAT))
            continue
        if not open_tasks:
            break
        at_random = rule == RANDOM or draw < repeat_share + random_share
        task = _next_task(open_tasks, rng, teaching, at_random=at_random)
        used = RANDOM if at_random or task.candidates.head_scores is None else rule
        found = task.take(rng, used, teaching)
        if teaching is not None:
            teaching.chosen(task, found)
        chosen.append((task.candidates.task_id, found, used))
    return [
        Choice(task_id, completions, 1 - place / len(chosen), used)
        for place, (task_id, completions, used) in enumerate(chosen)
    ]


def disagreement(scores: Floats) -> float:
    """How far the heads differ about pairs: the largest variance of σ(Δ) over them. Shape: (n, K)."""
    return float(probabilities(scores[:, None, :], scores[None, :, :]).var(-1).max())  # of (n, n, K)


def thompson_set(scores: Floats, size: int, rng: np.random.Generator) -> Places:
    """Each place goes to the best, of those not yet chosen, by a head drawn anew. Shape: (n, K)."""
    chosen: list[int] = []
    for head in rng.integers(scores.shape[1], size=size):
        order = np.argsort(-scores[:, head], kind="stable")
        chosen.append(next(int(place) for place in order if int(place) not in chosen))
    return _sorted(chosen)


def best_set(values: Floats, size: int) -> Places:
    """The most valuable pair, then each time whatever forms the most valuable pairs with those. (n, n)."""
    chosen = [int(place) for place in np.unravel_index(int(np.argmax(values)), values.shape)]
    while len(chosen) < size:
        joined = values[chosen].sum(0)
        joined[chosen] = -np.inf
        chosen.append(int(np.argmax(joined)))
    return _sorted(chosen)


class _Task:
    """One task while choices are made: what of it was shown or chosen, and how unsure the heads are."""

    def __init__(self, candidates: Candidates, size: int) -> None:
        self.candidates = candidates
        self.size = size
        self.seen = {_sorted(judged) for judged in candidates.judged if len(judged) == size}
        self.taken = 0
        scores = candidates.head_scores
        if scores is not None and len(scores) != candidates.count:
            raise ValueError(
                f"task {candidates.task_id}: {candidates.count} completions, but {len(scores)} scores"
            )
        self.unsure = 0.0 if scores is None else disagreement(scores)

    @property
    def exhausted(self) -> bool:
        return len(self.seen) >= math.comb(self.candidates.count, self.size)

    def take(self, rng: np.random.Generator, rule: str, teaching: _Teaching | None) -> Places:
        """A set that was not seen yet."""
        scores = self.candidates.head_scores
        if rule == RANDOM or scores is None:
            found = self._unseen(lambda: self._drawn(rng), lambda: rng.random(self.candidates.count))
        elif teaching is None:
            found = self._unseen(lambda: thompson_set(scores, self.size, rng), lambda: scores.mean(1))
        else:
            values = teaching.of(self)
            worth = np.maximum(values, 0).sum(1)
            found = self._unseen(lambda: best_set(values, self.size), lambda: worth, tries=1)
        self.seen.add(found)
        self.taken += 1
        return found

    def _drawn(self, rng: np.random.Generator) -> Places:
        return _sorted(rng.choice(self.candidates.count, self.size, replace=False).tolist())

    def _unseen(self, draw: Callable[[], Places], worth: Callable[[], Floats], tries: int = TRIES) -> Places:
        """A draw that was not seen. Few may be left: then the first set of the worthiest that was not."""
        for _ in range(tries):
            found = draw()
            if found not in self.seen:
                return found
        best_first = np.argsort(-worth(), kind="stable").tolist()
        sets = map(_sorted, itertools.combinations(best_first, self.size))
        return next(found for found in sets if found not in self.seen)


class _Teaching:
    """What the answer to each pair of completions would teach, over all tasks that have scores.

    A pair that cannot be chosen any more is worth -inf, where pairs are what is chosen.
    """

    def __init__(self, tasks: Sequence[_Task], rule: str) -> None:
        self.numbers: dict[str, npt.NDArray[np.int64]] = {}
        """Of each task's pairs, those on the diagonal are -1. Shapes: (n, n)."""
        sides: list[tuple[Floats, Floats]] = []
        count = 0
        for task in tasks:
            scores = task.candidates.head_scores
            if scores is None:
                continue
            left, right = np.triu_indices(len(scores), 1)
            numbers = np.full((len(scores), len(scores)), -1)
            numbers[left, right] = numbers[right, left] = count + np.arange(len(left))
            count += len(left)
            self.numbers[task.candidates.task_id] = numbers
            sides.append((scores[left], scores[right]))
        first, second = (np.concatenate(side) for side in zip(*sides, strict=True))
        self.gains = bald(first, second)
        self.design: Design | None = None
        if rule == BY_HEADS:
            seen = by_heads(first, second)
            self.design = Design(seen, probabilities(first, second).mean(1), np.eye(seen.shape[1]))
            self.gains = self.design.gains
        for task in tasks:
            for judged in task.seen:
                self._shut(task, judged)

    def of(self, task: _Task) -> Floats:
        """Shape: (n, n), symmetric."""
        numbers = self.numbers[task.candidates.task_id]
        values: Floats = np.where(numbers < 0, -np.inf, self.gains[numbers])
        return values

    def most(self, task: _Task) -> float:
        """The most that a pair of the task would teach."""
        numbers = self.numbers.get(task.candidates.task_id)
        return -math.inf if numbers is None else float(self.gains[numbers[0, 1] : numbers[-2, -1] + 1].max())

    def chosen(self, task: _Task, places: Places) -> None:
        """An answer is to come: the next one about something like it would teach less."""
        numbers = self.numbers.get(task.candidates.task_id)
        if numbers is None:
            return
        if self.design is not None:
            for i, j in itertools.combinations(places, 2):
                self.design.take(int(numbers[i, j]))
            self.gains = self.design.gains
        self._shut(task, places)

    def _shut(self, task: _Task, places: Places) -> None:
        numbers = self.numbers.get(task.candidates.task_id)
        if numbers is not None and len(places) == 2:
            self.gains[numbers[places]] = -np.inf


def _next_task(
    tasks: Sequence[_Task], rng: np.random.Generator, teaching: _Teaching | None, *, at_random: bool
) -> _Task:
    """All tasks get their turn; where the model chooses, those come first that it has most to learn about."""
    fewest = min(task.taken for task in tasks)
    waiting = [task for task in tasks if task.taken == fewest]
    if at_random or all(task.candidates.head_scores is None for task in waiting):
        return waiting[int(rng.integers(len(waiting)))]
    return max(waiting, key=teaching.most if teaching else lambda task: task.unsure)


def _sorted(places: Sequence[int]) -> Places:
    return tuple(sorted(places))
