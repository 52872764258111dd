"""Refitted heads are the ones that training would find, whatever came before and in whichever order."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from rlhf.lm.configs import RewardConfig
from rlhf.lm.data import Judgment, Task
from rlhf.lm.refit import Basis, Refitter
from rlhf.lm.refit_votes import Votes
from rlhf.lm.reward_heads import PairArrays, fit_heads, last_heads
from rlhf.lm.reward_model import LinearHeads

WIDTH, TASKS, TEXTS = 30, 12, 3
CONFIG = RewardConfig(heads=2, l2=5.0)


def features_of(items: list[tuple[Task, str]]) -> Any:
    """Random numbers of each text, always the same."""
    seeds = [[int(task.id), *text.encode()] for task, text in items]
    return np.array([np.random.default_rng(seed).normal(size=WIDTH) for seed in seeds], dtype=np.float32)


def make_refitter(config: RewardConfig = CONFIG) -> Refitter:
    k = config.heads
    heads = LinearHeads(np.zeros((k, WIDTH)), np.full(WIDTH, 0.1), np.full(WIDTH, 1.2), np.zeros(k))
    model: Any = SimpleNamespace(heads=heads, features=SimpleNamespace(of=features_of), length="as_is")
    refitter = Refitter(model, config)
    refitter.show([(Task(str(t), f"task {t}"), f"text {n}") for t in range(TASKS) for n in range(TEXTS)])
    return refitter


def judgment(number: int, *, best: int | None = None, **said: Any) -> Judgment:
    """A pair of a task; the first is better in most, some are ties."""
    rng = np.random.default_rng(number)
    one, other = rng.choice(TEXTS, 2, replace=False)
    ranks = {0: (1, 1), 1: (2, 1)}.get(int(rng.integers(6)), (1, 2)) if one < other else (2, 1)
    strength = None if ranks[0] == ranks[1] else int(rng.integers(1, 4))
    said = {"ranks": ranks, "strength": strength, **said}
    return Judgment(
        id=str(number),
        task_id=str(number % TASKS),
        annotator=f"person {number % 3}",
        completions=(f"text {one}", f"text {other}"),
        **said,
    )


def many(count: int = 120, **said: Any) -> list[Judgment]:
    return [judgment(number, **said) for number in range(count)]


def ids(judgments: list[Judgment]) -> list[str]:
    return [j.id for j in judgments]


def scores(refitter: Refitter, judgments: list[Judgment]) -> Any:
    for _ in range(3):  # each goes on from the last, so that what is left of an error is not compared
        refitted = refitter.refit(ids(judgments))
    return refitter.head_scores(refitted.heads, list(refitter.votes.rows))


def reference(refitter: Refitter, judgments: list[Judgment]) -> Any:
    """By `fit_heads` on the features themselves, until it moves no more."""
    votes = Votes(refitter.config)
    votes.rows = refitter.votes.rows
    votes.add(judgments)
    pairs, orders, verdicts = votes.of(ids(judgments))
    fitted = last_heads(
        fit_heads(
            refitter.standard,
            pairs,
            heads=2,
            l2=5.0,
            steps=600,
            seed=0,
            ties=refitter.config.ties,
            strength=refitter.config.strength,
            orders=orders,
            verdicts=verdicts,
            importance=votes.importance(),
        )
    )
    return refitter.standard @ fitted.weights.T


def as_training(raw: Any, refitter: Refitter) -> Any:
    """In the unit of a reward model: within tasks the spread of the mean is 1, each head's mean is 0."""
    judged = refitter.votes.judged_rows()
    names = [int(list(refitter.votes.rows)[row][0]) for row in judged]
    mean = raw[judged].mean(1)
    within = np.concatenate(
        [mean[np.array(names) == n] - mean[np.array(names) == n].mean() for n in set(names)]
    )
    return (raw - raw[judged].mean(0)) / within.std()


@pytest.mark.parametrize(
    "config",
    [
        CONFIG,
        replace(CONFIG, strength="ignored"),
        replace(CONFIG, strength="ignored", ties="half"),
        replace(CONFIG, strength="margin"),
    ],
    ids=["graded", "davidson", "half", "margin"],
)
def test_it_finds_what_training_would_find(config: RewardConfig):
    refitter, judgments = make_refitter(config), many()
    refitter.learn(judgments)
    votes = reference(refitter, judgments)
    np.testing.assert_allclose(scores(refitter, judgments), as_training(votes, refitter), atol=0.02)


def test_rankings_that_come_bit_by_bit_give_the_same_as_all_at_once():
    judgments = many()
    whole, parts = make_refitter(), make_refitter()
    whole.learn(judgments)
    for start in range(0, 120, 40):
        parts.learn(judgments[start : start + 40])
        parts.refit(ids(judgments[: start + 40]))
    np.testing.assert_allclose(scores(parts, judgments), scores(whole, judgments), atol=0.02)


def test_what_does_not_count_any_more_leaves_no_trace():
    judgments = many()
    with_more, without = make_refitter(), make_refitter()
    with_more.learn(judgments)
    with_more.refit(ids(judgments))
    without.learn(judgments[:80])
    np.testing.assert_allclose(scores(with_more, judgments[:80]), scores(without, judgments[:80]), atol=0.1)


def test_texts_that_come_later_widen_the_span():
    refitter, judgments = make_refitter(), many()
    refitter.learn(judgments)
    refitter.refit(ids(judgments))
    task = Task("0", "task 0")
    refitter.show([(task, f"new {n}") for n in range(2)])
    new = [Judgment(f"n{n}", "0", "person 0", ("new 0", "new 1"), (1, 2)) for n in range(8)]
    refitter.learn(new)
    refitted = refitter.refit(ids([*judgments, *new]))
    first, second = refitter.head_scores(refitted.heads, [("0", "new 0"), ("0", "new 1")]).mean(1)
    assert first > second + 0.5


def test_all_bad_verdicts_give_a_bar():
    refitter = make_refitter()
    judgments = [*many(60), *(judgment(n, ranks=(1, 1), strength=None, all_bad=True) for n in range(60, 90))]
    refitter.learn(judgments)
    assert refitter.refit(ids(judgments)).bar is not None
    assert refitter.refit(ids(judgments[:60])).bar is None


def test_whole_orders_are_learned_from_as_such():
    refitter = make_refitter(replace(CONFIG, rankings="plackett_luce"))
    texts = tuple(f"text {n}" for n in range(3))
    judgments = [Judgment(str(n), str(n % TASKS), "person 0", texts, (1, 2, 3)) for n in range(36)]
    refitter.learn(judgments)
    refitted = refitter.refit(ids(judgments))
    found = refitter.head_scores(refitted.heads, [("1", text) for text in texts]).mean(1)
    assert found[0] > found[1] > found[2] and refitted.rankings == 36


def test_ties_alone_teach_nothing():
    refitter = make_refitter()
    judgments = many(12, ranks=(1, 1), strength=None)
    refitter.learn(judgments)
    with pytest.raises(ValueError, match="better than another"):
        refitter.refit(ids(judgments))


def test_another_task_changes_no_draw_of_the_ones_before():
    votes = Votes(CONFIG)
    votes.rows = make_refitter().votes.rows
    votes.add(many(4))
    before = votes.importance()
    votes.add([judgment(7)])
    after = votes.importance()
    assert before is not None and after is not None
    np.testing.assert_array_equal(after[:, :4], before)
    assert after.shape == (2, 5) and (after > 0).all()


def test_the_basis_is_a_turn_that_keeps_the_penalty():
    rng = np.random.default_rng(0)
    standard = rng.normal(size=(10, WIDTH))
    none = np.zeros(2, np.int64)
    pairs = PairArrays(np.array([0, 2]), np.array([1, 3]), np.ones(2), none, none)
    basis = Basis.of(standard[:8], pairs, l2=3.0).widened(standard[8:], l2=3.0)
    assert basis.back.shape == (WIDTH, 10) and basis.built == 8
    u = rng.normal(size=(2, 10))
    weights = u @ basis.back.T
    np.testing.assert_allclose((3.0 / basis.curvatures * u**2).sum(), 3.0 * (weights**2).sum())
    np.testing.assert_allclose(basis.turned(weights), u, atol=1e-9)
    inside = rng.normal(size=10) @ standard  # weights in the span of the texts come back whole
    np.testing.assert_allclose(basis.turned(inside[None]) @ basis.back.T, inside[None], atol=1e-9)
