"""The replay asks as it is told, and its ratio is the one worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest

from rlhf.lm import acquisition
from rlhf.lm import replay as replay_module
from rlhf.lm.replay import ANYBODY, BEST, BEST_HALF, Plan, label_ratio, replay, simulated_pool

PLAN = Plan(labels=60, batch=20, heads=3, steps=10)


def test_the_ratio_by_hand() -> None:
    labels = [10, 20, 30, 40, 50, 60, 70, 80, 90, 100]
    random = np.array([[0.50, 0.55, 0.60, 0.65, 0.70, 0.75, 0.80, 0.85, 0.90, 0.95]] * 4)
    twice = np.array([[0.55, 0.65, 0.75, 0.85, 0.95, 0.95, 0.95, 0.95, 0.95, 0.95]] * 4)
    found = label_ratio(labels, twice, random)
    assert found.target == pytest.approx(0.80)  # what random has with 70
    assert found.value == pytest.approx(35 / 70)  # half-way between 30 and 40
    assert (found.low, found.high) == pytest.approx((0.5, 0.5))
    never = label_ratio(labels, random * 0 + 0.5, random)
    assert never.value == pytest.approx(100 / 70)


@pytest.mark.parametrize("rule", acquisition.RULES)
def test_every_rule_asks_each_pair_once_and_learns(rule: str) -> None:
    pool = simulated_pool(0, annotators=(0.95,) * 4, tasks=30)
    steps = list(replay(pool, PLAN, rule=rule, seed=0))
    assert [labels for labels, _ in steps] == [20, 40, 60]
    assert steps[-1][1] > 0.6
    assert steps == list(replay(pool, PLAN, rule=rule, seed=0))


def test_best_people_are_asked_more_and_more(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of 6 people 3 toss a coin: asked at random they give half of the votes, the best half hardly any."""
    pool = simulated_pool(0, annotators=(0.95,) * 3 + (0.5,) * 3, tasks=60)
    plan = Plan(labels=300, batch=20, heads=3, steps=15)
    seen: list[list[tuple[int, int]]] = []
    real = replay_module.votes_of
    monkeypatch.setattr(
        replay_module, "votes_of", lambda pool, asked: (seen.append(list(asked)), real(pool, asked))[1]
    )
    good = {}
    for people in (ANYBODY, BEST, BEST_HALF):
        list(replay(pool, plan, rule="random", people=people, seed=0))
        good[people] = sum(person < 3 for _, person in seen[-1][200:])
        assert len({pair for pair, _ in seen[-1]}) == 300
    assert 35 <= good[ANYBODY] <= 65
    assert good[BEST] > 90 and good[BEST_HALF] > 80


def test_simulated_annotators_are_as_reliable_as_told() -> None:
    pool = simulated_pool(1, annotators=(1.0, 0.5, 0.0), tasks=100)
    agree = (pool.votes[:, 0] == pool.votes[:, 1]).mean()
    against = (pool.votes[:, 0] == pool.votes[:, 2]).mean()
    assert agree == pytest.approx(0.5, abs=0.06)
    assert against < 0.4
