"""Reliability against planted annotators: errors, intervals, order, and another program's answer."""

import numpy as np
import pytest
from crowdkit.aggregation import NoisyBradleyTerry
from django.utils import timezone
from scipy.optimize import minimize
from scipy.stats import spearmanr

from annotator.quality.reliability import Model, Pairs, reliabilities
from annotator.quality.votes import Judged, Vote


def planted(etas, *, pairs, per_pair, seed, sigma=2.0, tie=0.0, prompts=None):
    """Comparisons of two completions, each judged by `per_pair` annotators drawn at random."""
    rng = np.random.default_rng(seed)
    for number in range(pairs):
        delta = rng.normal() * np.sqrt(2) * sigma
        votes = []
        for who in rng.choice(len(etas), size=per_pair, replace=False):
            s = 1 / (1 + np.exp(-delta))
            p = etas[who] * s + (1 - etas[who]) * (1 - s)
            tied = tie * np.sqrt(p * (1 - p))
            if rng.random() < tied / (1 + tied):
                ranks = (1, 1)
            else:
                ranks = (1, 2) if rng.random() < p else (2, 1)
            ranks = {f"{number}a": ranks[0], f"{number}b": ranks[1]}
            votes.append(Vote(int(who), ranks, None, False, timezone.now()))
        yield Judged(number % prompts if prompts else number, "general", "en", 1, votes)


def collect(comparisons):
    pairs = Pairs()
    for judged in comparisons:
        pairs.add(judged)
    return pairs


def model_of(pairs):
    return Model(
        pair=np.array(pairs.pair),
        prompt=np.array(pairs.prompt),
        annotator=np.array(pairs.annotator),
        sign=np.array(pairs.sign),
    )


ETAS = np.linspace(0.55, 0.95, 12)


def test_the_gradient_and_the_curvature_are_those_of_the_loss():
    model = model_of(collect(planted(ETAS[:4], pairs=40, per_pair=3, seed=0, prompts=7)))
    theta = np.random.default_rng(1).normal(1, 0.5, model.n + 1)
    step = 1e-5
    _, gradient = model.loss(theta)
    scores, information = model.curvature(theta)
    hessian = information + np.diag(model._prior_curvature(theta))
    for i in range(model.n + 1):
        up, down = (theta + sign * step * np.eye(model.n + 1)[i] for sign in (1, -1))
        assert gradient[i] == pytest.approx((model.loss(up)[0] - model.loss(down)[0]) / (2 * step), abs=1e-5)
        slope = (model.loss(up)[1] - model.loss(down)[1]) / (2 * step)
        assert hessian[i] == pytest.approx(slope, abs=1e-4)
    assert scores.shape == (7, model.n + 1)


def test_intervals_hold_what_was_planted():
    inside, errors, orders = [], [], []
    for seed in range(12):
        found = reliabilities(collect(planted(ETAS, pairs=800, per_pair=4, seed=seed)))
        rows = [found[i] for i in range(len(ETAS))]
        inside += [row.low <= eta <= row.high for row, eta in zip(rows, ETAS, strict=True)]
        errors += [row.value - eta for row, eta in zip(rows, ETAS, strict=True)]
        orders.append(spearmanr([row.value for row in rows], ETAS).statistic)
    assert 0.90 <= np.mean(inside) <= 0.99
    assert abs(np.mean(errors)) < 0.02
    assert np.mean(orders) > 0.8  # neighbours are 0.036 apart


def test_few_votes_a_pair_do_not_overstate():
    found = reliabilities(collect(planted(np.full(8, 0.85), pairs=1200, per_pair=2, seed=0)))
    values = [row.value for row in found.values()]
    assert np.mean(values) == pytest.approx(0.85, abs=0.04)
    assert max(values) < 0.97


def test_ties_do_not_lower_anybody():
    found = reliabilities(collect(planted(ETAS, pairs=1500, per_pair=4, seed=3, tie=1.0)))
    errors = [found[i].value - eta for i, eta in enumerate(ETAS)]
    assert abs(np.mean(errors)) < 0.04


def auc(values, careless):
    better = [(a < b) + 0.5 * (a == b) for a in values[:careless] for b in values[careless:]]
    return np.mean(better)


def test_the_careless_are_found_from_thirty_judgments_each():
    etas = np.array([0.5] * 8 + [0.9] * 24)
    found = []
    for seed in range(5):
        rows = reliabilities(collect(planted(etas, pairs=32 * 30 // 5, per_pair=5, seed=seed)))
        found.append(auc([rows[i].value for i in range(len(etas))], 8))
    assert np.mean(found) >= 0.9


def by_crowd_kits_likelihood(rows, items, workers):
    """The skills that maximise crowd-kit's likelihood of the noisy Bradley-Terry model.

    Its `fit` cannot be used: as of 1.4.2 its gradient keeps each worker's last vote only, and puts it in
    the neighbour's place, so that the skills hardly move from their random start.
    """
    votes = np.array([(left + 1, right + 1, label + 1) for _, left, right, label in rows])
    who = np.array([worker for worker, *_ in rows])

    def loss(x):
        pull = 0.5 * np.sum(x[: 1 + items] ** 2) + 0.05 * np.sum(x[1 + items :] ** 2)
        return NoisyBradleyTerry._compute_log_likelihood(x, votes, who, items, workers, 0.0) + pull

    start = np.concatenate([np.zeros(1 + items + workers), np.ones(workers)])
    # Its likelihood looks a worker's bias up at 1 + labels + worker, the skill `workers` behind it.
    return minimize(loss, start, method="L-BFGS-B").x[1 + items + workers :]


def test_another_programs_likelihood_orders_people_alike():
    etas = np.linspace(0.5, 0.95, 8)
    rng = np.random.default_rng(0)
    items = 12
    scores = rng.normal(size=items) * 2
    rows, comparisons = [], []
    for number in range(500):
        one, other = (int(item) for item in rng.choice(items, size=2, replace=False))
        votes = []
        for who in rng.choice(len(etas), size=4, replace=False):
            s = 1 / (1 + np.exp(scores[other] - scores[one]))
            first = rng.random() < etas[who] * s + (1 - etas[who]) * (1 - s)
            rows.append((int(who), one, other, one if first else other))
            ranks = {"a": 1, "b": 2} if first else {"a": 2, "b": 1}
            votes.append(Vote(int(who), ranks, None, False, timezone.now()))
        comparisons.append(Judged(number, "general", "en", 1, votes))
    theirs = by_crowd_kits_likelihood(rows, items, len(etas))
    ours = reliabilities(collect(comparisons))
    assert spearmanr([ours[i].value for i in range(len(etas))], theirs).statistic > 0.85


def test_who_shares_nothing_is_unknown():
    pairs = collect(planted(ETAS[:3], pairs=20, per_pair=2, seed=0))
    alone = Vote(99, {"a": 1, "b": 2}, None, False, timezone.now())
    tied = Vote(98, {"a": 1, "b": 1}, None, False, timezone.now())
    pairs.add(Judged(5, "general", "en", 1, [alone, tied]))
    assert set(reliabilities(pairs)) == {0, 1, 2}
    assert reliabilities(Pairs()) == {}


def test_a_ranking_gives_its_pairs():
    votes = [Vote(who, {"a": 1, "b": 2, "c": 2}, None, False, timezone.now()) for who in (1, 2)]
    pairs = collect([Judged(1, "general", "en", 1, votes)])
    assert pairs.count == 2
    assert reliabilities(pairs)[1].votes == 2
