"""Intervals of η against a second derivative taken by hand, and against what the votes could say."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import expit, logit

from rlhf.lm.reliability import reliabilities, reliability_errors
from rlhf.lm.reward_heads import RELIABILITY_PRIOR, Heads, PairArrays, fit_heads, last_heads

SURE = 60.0  # a difference that leaves no doubt: then a vote is right with probability η


def heads(reliability: list[float], spread: float = 1e-9) -> Heads:
    return Heads(
        weights=np.zeros((1, 1)),
        reliability=np.array([reliability]),
        loss=0.0,
        spread=np.array([spread]),
        log_tie=np.zeros(1),
        cuts=np.array([[0.4, 1.2, 2.4]]),
        bar=np.zeros(1),
    )


def votes(outcomes: list[float], annotators: list[int]) -> PairArrays:
    """One pair, of a task of its own, for each vote."""
    n = np.arange(len(outcomes))
    return PairArrays(
        first=2 * n, second=2 * n + 1, outcomes=np.array(outcomes), annotators=np.array(annotators), tasks=n
    )


def test_where_the_scores_leave_no_doubt_it_is_a_binomial() -> None:
    """40 votes, 30 as the scores have it, η = 0.75. On the logit scale each vote informs by η(1-η), the
    gradients are 1-η for a right vote and -η for a wrong one: B = 1/(40 η(1-η) + p), p the prior's part."""
    right, wrong, eta = 30, 10, 0.75
    scores = np.tile([SURE, 0.0], 40)
    found = reliability_errors(
        heads([eta]), scores, votes([1.0] * right + [0.0] * wrong, [0] * 40), ties="half", strength="ignored"
    )
    prior = (sum(RELIABILITY_PRIOR) - 2) * eta * (1 - eta)
    bread = 1 / (40 * eta * (1 - eta) + prior)
    meat = right * (1 - eta) ** 2 + wrong * eta**2 + prior
    assert found[0] == pytest.approx(bread * meat**0.5, rel=1e-5)


def test_more_votes_say_more_and_none_leave_the_prior() -> None:
    scores = np.tile([2.0, 0.0], 80)
    ballots = votes([1.0, 1.0, 1.0, 0.0] * 20, [0] * 64 + [1] * 16)
    many, few, none = reliability_errors(
        heads([0.8, 0.8, 0.8], spread=2.0), scores, ballots, ties="half", strength="ignored"
    )
    assert many < few < none
    assert none == pytest.approx(((sum(RELIABILITY_PRIOR) - 2) * 0.8 * 0.2) ** -0.5, rel=1e-6)


def test_votes_of_one_task_count_as_one_finding() -> None:
    scores = np.tile([SURE, 0.0], 40)
    apart = votes([1.0] * 30 + [0.0] * 10, [0] * 40)
    together = PairArrays(apart.first, apart.second, apart.outcomes, apart.annotators, apart.tasks // 10)
    first = reliability_errors(heads([0.75]), scores, apart, ties="half", strength="ignored")
    second = reliability_errors(heads([0.75]), scores, together, ties="half", strength="ignored")
    assert second[0] > 1.5 * first[0]


@pytest.mark.parametrize(("ties", "strength"), [("davidson", "ignored"), ("half", "graded")])
def test_ties_and_grades_are_read_as_the_heads_were_fitted(ties: str, strength: str) -> None:
    scores = np.tile([1.0, 0.0], 30)
    ballots = votes([1.0, 0.5, 0.0] * 10, [0] * 30)
    ballots = PairArrays(**{**vars(ballots), "strengths": np.tile([3.0, 0.0, 1.0], 10)})
    found = reliability_errors(heads([0.8], spread=1.0), scores, ballots, ties=ties, strength=strength)
    assert np.isfinite(found).all() and (found > 0).all()


def test_intervals_hold_the_truth_and_tell_the_careless_from_the_careful() -> None:
    rng = np.random.default_rng(0)
    truth = np.array([0.95, 0.95, 0.6])
    tasks = 150
    features = rng.normal(size=(2 * tasks, 3))
    scores = features @ np.array([3.0, 0.0, 0.0])
    n = np.repeat(np.arange(tasks), 3)
    who = np.tile(np.arange(3), tasks)
    meant = rng.random(len(n)) < expit(scores[2 * n] - scores[2 * n + 1])
    said = np.where(rng.random(len(n)) < truth[who], meant, ~meant).astype(float)
    ballots = PairArrays(2 * n, 2 * n + 1, said, who, n)
    fitted = last_heads(fit_heads(features, ballots, heads=1, l2=1.0, steps=60, seed=0))
    errors = reliability_errors(
        fitted, features @ fitted.weights[0], ballots, ties="half", strength="ignored"
    )
    rows = reliabilities(fitted, errors, ["bob", "carol", "eve"], dict.fromkeys(("bob", "eve"), 150), {"eve"})
    assert [row.annotator for row in rows] == ["eve", "bob"]  # carol is said to have given none
    eve, bob = rows
    assert eve.low <= 0.6 <= eve.high < bob.value
    assert (eve.simulated, bob.simulated, eve.rankings) == (True, False, 150)
    assert logit(bob.high) - logit(bob.value) == pytest.approx(1.96 * errors[0])
