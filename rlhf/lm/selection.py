"""Which completions people are asked to compare: at random, where heads disagree about the best, again.

Double Thompson sampling over the heads of a reward model (Dwaracherla et al. 2024, arXiv 2402.00396). A share
is always random, since only an unbiased stream can judge the model, and a share is repeated, since only
a repeat shows how far an annotator agrees with others and with themselves.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from rlhf.lm.acquisition import RANDOM, THOMPSON, probabilities

REPEAT = "repeat"
TRIES = 20  # draws of a new set before all of them are gone through


@dataclass(frozen=True)
class Candidates:
    """The completions of one task, by their place; with what each head says of them, if there is a model."""

    task_id: str
    count: int
    head_scores: npt.NDArray[np.float64] | None = None  # (count, K)
    judged: tuple[tuple[int, ...], ...] = ()  # sets that were compared before


@dataclass(frozen=True)
class Choice:
    """Completions of a task to be shown together; the higher the priority in (0, 1], the sooner."""

    task_id: str
    completions: tuple[int, ...]
    priority: float
    rule: str


def choose(
    tasks: Sequence[Candidates],
    *,
    count: int,
    size: int = 2,
    random_share: float = 0.2,
    repeat_share: float = 0.1,
    seed: int = 0,
) -> list[Choice]:
    """Up to `count` choices of `size` completions (or all, where a task has fewer), most wanted first.

    Shares are kept from the first choice on, so that they hold wherever people stop. No set is chosen
    twice or anew if it was judged, but as a repeat. The same arguments choose the same.
    """
    if size < 2:
        raise ValueError(f"a comparison needs at least two completions, not {size}")
    rng = np.random.default_rng(seed)
    open_tasks = [_Task(task, min(size, task.count)) for task in tasks if task.count >= 2]
    repeatable = [(task.task_id, judged) for task in tasks for judged in task.judged]
    rng.shuffle(repeatable)
    chosen: list[tuple[str, tuple[int, ...], str]] = []
    while len(chosen) < count:
        open_tasks = [task for task in open_tasks if not task.exhausted]
        draw = rng.random()
        if repeatable and (draw < repeat_share or not open_tasks):
            chosen.append((*repeatable.pop(), REPEAT))
            continue
        if not open_tasks:
            break
        at_random = draw < repeat_share + random_share
        task = _next_task(open_tasks, rng, at_random=at_random)
        rule = RANDOM if at_random or task.candidates.head_scores is None else THOMPSON
        chosen.append((task.candidates.task_id, task.take(rng, rule), rule))
    return [
        Choice(task_id, completions, 1 - place / len(chosen), rule)
        for place, (task_id, completions, rule) in enumerate(chosen)
    ]


def disagreement(scores: npt.NDArray[np.float64]) -> float:
    """How far the heads differ about pairs: the largest variance of σ(Δ) over them. Shape: (n, K)."""
    return float(probabilities(scores[:, None, :], scores[None, :, :]).var(-1).max())  # of (n, n, K)


def thompson_set(scores: npt.NDArray[np.float64], size: int, rng: np.random.Generator) -> tuple[int, ...]:
    """Each place goes to the best, of those not yet chosen, by a head drawn anew. Shape: (n, K)."""
    chosen: list[int] = []
    for head in rng.integers(scores.shape[1], size=size):
        order = np.argsort(-scores[:, head], kind="stable")
        chosen.append(next(int(place) for place in order if int(place) not in chosen))
    return tuple(sorted(chosen))


class _Task:
    """One task while choices are made: what of it was shown or chosen, and how unsure the heads are."""

    def __init__(self, candidates: Candidates, size: int) -> None:
        self.candidates = candidates
        self.size = size
        self.seen = {tuple(sorted(judged)) for judged in candidates.judged if len(judged) == size}
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

    def take(self, rng: np.random.Generator, rule: str) -> tuple[int, ...]:
        """A set that was not seen yet."""
        scores = self.candidates.head_scores
        for _ in range(TRIES):
            if rule == THOMPSON and scores is not None:
                found = thompson_set(scores, self.size, rng)
            else:
                drawn = rng.choice(self.candidates.count, self.size, replace=False)
                found = tuple(sorted(int(place) for place in drawn))
            if found not in self.seen:
                break
        else:  # few are left, or the heads always name the same: the first new one in a random or best order
            best_first = rng.permutation(self.candidates.count)
            if rule == THOMPSON and scores is not None:
                best_first = np.argsort(-scores.mean(1), kind="stable")
            sets = itertools.combinations(best_first.tolist(), self.size)
            found = next(s for s in map(_sorted, sets) if s not in self.seen)
        self.seen.add(found)
        self.taken += 1
        return found


def _next_task(tasks: Sequence[_Task], rng: np.random.Generator, *, at_random: bool) -> _Task:
    """All tasks get their turn; where the model chooses, the ones it is unsure about come first."""
    fewest = min(task.taken for task in tasks)
    waiting = [task for task in tasks if task.taken == fewest]
    if at_random or all(task.candidates.head_scores is None for task in waiting):
        return waiting[int(rng.integers(len(waiting)))]
    return max(waiting, key=lambda task: task.unsure)


def _sorted(places: Sequence[int]) -> tuple[int, ...]:
    return tuple(sorted(places))
