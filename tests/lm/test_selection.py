"""Which comparisons are chosen: shares, no repetition but on purpose, the heads' view, determinism."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from rlhf.lm.selection import RANDOM, REPEAT, THOMPSON, Candidates, Choice, choose, disagreement, thompson_set

AGREED = np.array([[3.0, 3.0], [2.0, 2.0], [0.0, 0.0], [-1.0, -1.0]])
SPLIT = np.array([[0.0, 0.0], [9.0, -9.0], [-9.0, 9.0], [0.0, 0.0]])


def tasks(number: int, scores: np.ndarray | None = None, **fields: object) -> list[Candidates]:
    return [Candidates(f"t{n}", 4, scores, **fields) for n in range(number)]


def shares(choices: list[Choice]) -> dict[str, float]:
    return {rule: n / len(choices) for rule, n in Counter(choice.rule for choice in choices).items()}


def test_without_a_model_everything_is_random_and_balanced() -> None:
    choices = choose(tasks(10), count=30)
    assert {choice.rule for choice in choices} == {RANDOM}
    assert set(Counter(choice.task_id for choice in choices).values()) == {3}
    assert len({(choice.task_id, choice.completions) for choice in choices}) == 30


def test_random_sets_are_uniform() -> None:
    counted = Counter(choose(tasks(1), count=1, seed=seed)[0].completions for seed in range(1200))
    assert len(counted) == 6  # of four completions, six pairs, 200 each; four standard deviations are 52
    assert all(abs(n - 200) < 52 for n in counted.values())


def test_a_fifth_stays_random_and_a_tenth_repeats_wherever_people_stop() -> None:
    choices = choose(tasks(400, SPLIT, judged=((0, 3),)), count=1000)
    assert len(choices) == 1000
    for part in (choices, choices[:300]):
        found = shares(part)
        assert found[RANDOM] == pytest.approx(0.2, abs=0.07)
        assert found[REPEAT] == pytest.approx(0.1, abs=0.05)
        assert found[THOMPSON] == pytest.approx(0.7, abs=0.07)


def test_only_repeats_show_what_was_judged() -> None:
    choices = choose(tasks(20, SPLIT, judged=((1, 2), (0, 1))), count=200)
    for choice in choices:
        assert (choice.completions in {(1, 2), (0, 1)}) == (choice.rule == REPEAT)
    assert len({(choice.task_id, choice.completions) for choice in choices}) == len(choices)
    # Everything is asked once in the end: four new sets and two repeats of each of twenty tasks.
    assert Counter(choice.rule == REPEAT for choice in choices) == {False: 80, True: 40}


def test_heads_that_disagree_put_their_favourites_side_by_side() -> None:
    rng = np.random.default_rng(0)
    found = Counter(thompson_set(SPLIT, 2, rng) for _ in range(400))
    # Two different heads (half of the time) name 1 and 2; the same head twice names its favourite and a 0.
    assert found[(1, 2)] == pytest.approx(200, abs=50)
    assert found[(0, 1)] + found[(0, 2)] == pytest.approx(200, abs=50)


def test_heads_that_agree_compare_the_best_two() -> None:
    assert thompson_set(AGREED, 2, np.random.default_rng(0)) == (0, 1)
    assert thompson_set(AGREED, 3, np.random.default_rng(0)) == (0, 1, 2)


def test_unsure_tasks_come_first() -> None:
    mixed = [Candidates("sure", 4, AGREED), Candidates("unsure", 4, SPLIT), Candidates("sure too", 4, AGREED)]
    first, *_ = choose(mixed, count=3, random_share=0.0, repeat_share=0.0)
    assert (first.task_id, first.rule) == ("unsure", THOMPSON)
    assert disagreement(AGREED) == 0.0
    # σ(±18) is 1 or 0: variance of (0, 1) is 1/4.
    assert disagreement(SPLIT) == pytest.approx(0.25, abs=1e-6)


def test_priority_falls_from_one() -> None:
    assert [choice.priority for choice in choose(tasks(4), count=4)] == [1.0, 0.75, 0.5, 0.25]


def test_the_seed_decides() -> None:
    arguments = {"tasks": tasks(30, SPLIT, judged=((0, 1),)), "count": 40}
    assert choose(**arguments, seed=3) == choose(**arguments, seed=3)
    assert choose(**arguments, seed=3) != choose(**arguments, seed=4)


def test_small_tasks_show_all_they_have_and_single_completions_nothing() -> None:
    few = [Candidates("two", 2), Candidates("one", 1), Candidates("none", 0)]
    (choice,) = choose(few, count=5, size=4)
    assert (choice.task_id, choice.completions) == ("two", (0, 1))
    assert choose([], count=5) == []


def test_what_cannot_be_asked_is_an_error() -> None:
    with pytest.raises(ValueError, match="at least two completions"):
        choose(tasks(1), count=1, size=1)
    with pytest.raises(ValueError, match="task t0: 4 completions, but 2 scores"):
        choose(tasks(1, np.zeros((2, 3))), count=1)
