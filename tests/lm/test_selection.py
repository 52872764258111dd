"""Which comparisons are chosen: shares, no repetition but on purpose, the heads' view, determinism."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from rlhf.lm.acquisition import bald, by_heads, d_optimal, probabilities
from rlhf.lm.selection import (
    BALD,
    BY_HEADS,
    RANDOM,
    REPEAT,
    RULES,
    THOMPSON,
    Candidates,
    Choice,
    best_set,
    choose,
    disagreement,
    thompson_set,
)

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


@pytest.mark.parametrize("rule", [THOMPSON, BALD, BY_HEADS])
def test_a_fifth_stays_random_and_a_tenth_repeats_wherever_people_stop(rule: str) -> None:
    choices = choose(tasks(400, SPLIT, judged=((0, 3),)), count=1000, rule=rule)
    assert len(choices) == 1000
    for part in (choices, choices[:300]):
        found = shares(part)
        assert found[RANDOM] == pytest.approx(0.2, abs=0.07)
        assert found[REPEAT] == pytest.approx(0.1, abs=0.05)
        assert found[rule] == pytest.approx(0.7, abs=0.07)


@pytest.mark.parametrize("rule", RULES)
def test_only_repeats_show_what_was_judged(rule: str) -> None:
    choices = choose(tasks(20, SPLIT, judged=((1, 2), (0, 1))), count=200, rule=rule)
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


def test_the_most_valuable_set_by_hand() -> None:
    values = np.array([[0, 5, 1, 3], [5, 0, 2, 1], [1, 2, 0, 9], [3, 1, 9, 0]], dtype=np.float64)
    assert best_set(values, 2) == (2, 3)
    assert best_set(values, 3) == (0, 2, 3)  # 0 forms pairs worth 1 + 3 with those, 1 such of 2 + 1
    assert best_set(values, 4) == (0, 1, 2, 3)


def test_bald_asks_the_most_telling_pair_of_a_task_first() -> None:
    scores = np.random.default_rng(5).normal(size=(4, 6))
    left, right = np.triu_indices(4, 1)
    order = np.argsort(-bald(scores[left], scores[right]))
    found = choose([Candidates("t", 4, scores)], count=6, rule=BALD, random_share=0, repeat_share=0)
    assert [choice.completions for choice in found] == [(left[n], right[n]) for n in order]
    assert {choice.rule for choice in found} == {BALD}


def test_pairs_by_heads_are_the_greedy_design_of_a_task() -> None:
    scores = np.random.default_rng(6).normal(size=(5, 6))
    left, right = np.triu_indices(5, 1)
    first, second = scores[left], scores[right]
    order = d_optimal(by_heads(first, second), probabilities(first, second).mean(1), np.eye(6), 10)
    found = choose([Candidates("t", 5, scores)], count=10, random_share=0, repeat_share=0)
    assert [choice.completions for choice in found] == [(left[n], right[n]) for n in order]


def test_by_heads_a_task_that_would_teach_the_same_again_waits() -> None:
    """Of three tasks two are the same: the other one, a little less telling, comes between them."""
    same = np.array([[3.0, -3.0, 0.0], [0.0, 0.0, 0.0]])
    other = np.array([[1.4, 1.4, -2.8], [0.0, 0.0, 0.0]])
    three = [Candidates("same", 2, same), Candidates("same too", 2, same), Candidates("other", 2, other)]
    for rule, second in ((BALD, "same too"), (BY_HEADS, "other")):
        found = choose(three, count=3, rule=rule, random_share=0, repeat_share=0)
        assert [choice.task_id for choice in found][:2] == ["same", second]


@pytest.mark.parametrize("rule", RULES)
def test_sets_of_three_are_all_asked_once_in_the_end(rule: str) -> None:
    scores = np.random.default_rng(7).normal(size=(5, 4))
    found = choose([Candidates("t", 5, scores)], count=99, size=3, rule=rule, repeat_share=0)
    assert len({choice.completions for choice in found}) == len(found) == 10
    assert all(len(set(choice.completions)) == 3 for choice in found)


def test_tasks_without_scores_are_chosen_for_at_random_among_others() -> None:
    both = [Candidates("scored", 4, SPLIT), Candidates("not", 4)]
    found = choose(both, count=12, random_share=0, repeat_share=0)
    assert Counter((choice.task_id, choice.rule) for choice in found) == {
        ("scored", BY_HEADS): 6,
        ("not", RANDOM): 6,
    }


@pytest.mark.parametrize("rule", [THOMPSON, BALD, BY_HEADS])
def test_unsure_tasks_come_first(rule: str) -> None:
    mixed = [Candidates("sure", 4, AGREED), Candidates("unsure", 4, SPLIT), Candidates("sure too", 4, AGREED)]
    first, *_ = choose(mixed, count=3, rule=rule, random_share=0.0, repeat_share=0.0)
    assert (first.task_id, first.rule) == ("unsure", rule)
    assert disagreement(AGREED) == 0.0
    # σ(±18) is 1 or 0: variance of (0, 1) is 1/4.
    assert disagreement(SPLIT) == pytest.approx(0.25, abs=1e-6)


def test_priority_falls_from_one() -> None:
    assert [choice.priority for choice in choose(tasks(4), count=4)] == [1.0, 0.75, 0.5, 0.25]


def test_the_seed_decides() -> None:
    arguments = {"tasks": tasks(30, SPLIT, judged=((0, 1),)), "count": 40, "rule": THOMPSON}
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
    with pytest.raises(ValueError, match="unknown rule of selection: luck"):
        choose(tasks(1), count=1, rule="luck")
    with pytest.raises(ValueError, match="task t0: 4 completions, but 2 scores"):
        choose(tasks(1, np.zeros((2, 3))), count=1)
