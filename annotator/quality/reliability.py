"""How reliable each annotator is: Crowd-BT's share η of votes meant as given, with 95 % intervals.

A vote on a pair of completions follows their difference Δ with chance η and the opposite with 1 - η
(Chen et al., Crowd-BT, WSDM 2013). Fitting Δ with η would overstate η, since each pair has a handful of
votes and Δ would explain them all. So Δ ~ N(0, 2σ²) is integrated out by Gauss-Hermite quadrature, pair
by pair (a ranking gives its pairs: a composite likelihood), and η and the shared σ are fitted by L-BFGS
with a Beta prior on η and a log-normal one on σ: with two or three votes a pair only products of the
two are seen. The intervals are sandwiches clustered by prompt, on the logit scale.

Ties are left out. By Davidson's model, whoever does not call a tie votes exactly as above, so the
decided votes can be used alone; counted as half a vote for each side, they would lower η with a
person's habit of calling ties, and not with their errors.
"""

from __future__ import annotations

from array import array
from collections import Counter
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np
import numpy.typing as npt

from annotator.quality.votes import Judged

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

NODES = 21
PRIOR_RIGHT, PRIOR_WRONG = 1.5, 0.25
"""Beta prior on η; on the logit scale its mode is 0.86. Worth two votes: it says which way is up."""
SIGMA, SIGMA_SPREAD = 2.0, 0.5
"""Log-normal prior on σ: at 2, two perfect annotators agree on four of five pairs."""
Z = 1.96


@dataclass(frozen=True)
class Reliability:
    """An annotator's η with its 95 % interval, and the votes that it comes from."""

    value: float
    low: float
    high: float
    votes: int


class Pairs:
    """Collects the decided votes on pairs that at least two annotators have decided."""

    def __init__(self) -> None:
        self.pair, self.prompt = array("q"), array("q")
        self.annotator, self.sign = array("q"), array("b")
        self.count = 0

    def add(self, judged: Judged) -> None:
        keys = sorted(set.union(*(set(vote.ranks) for vote in judged.votes)))
        for first, second in combinations(keys, 2):
            decided = [
                (vote.annotator, 1 if vote.ranks[first] < vote.ranks[second] else -1)
                for vote in judged.votes
                if first in vote.ranks and second in vote.ranks and vote.ranks[first] != vote.ranks[second]
            ]
            if len(decided) < 2:  # one vote alone is as likely with any η
                continue
            for annotator, sign in decided:
                self.pair.append(self.count)
                self.prompt.append(judged.prompt)
                self.annotator.append(annotator)
                self.sign.append(sign)
            self.count += 1


def reliabilities(pairs: Pairs) -> dict[int, Reliability]:
    """η of each annotator who has decided a pair that somebody else has decided too."""
    if not pairs.count:
        return {}
    model = Model(
        pair=np.array(pairs.pair, dtype=np.int64),
        prompt=np.array(pairs.prompt, dtype=np.int64),
        annotator=np.array(pairs.annotator, dtype=np.int64),
        sign=np.array(pairs.sign, dtype=np.int64),
    )
    votes = Counter(pairs.annotator)
    theta, errors = model.fit()
    return {
        int(annotator): Reliability(
            value=float(_sigmoid(theta[i])),
            low=float(_sigmoid(theta[i] - Z * errors[i])),
            high=float(_sigmoid(theta[i] + Z * errors[i])),
            votes=votes[annotator],
        )
        for i, annotator in enumerate(model.annotators)
    }


@dataclass(frozen=True)
class _Tables:
    """Of each (annotator, sign) and node: log chance, and its derivatives by logit η and log σ."""

    log: Floats
    by_eta: Floats
    by_sigma: Floats
    second_eta: Floats
    second_sigma: Floats
    second_both: Floats


class Model:
    """The marginal likelihood. Parameters: logit η of each annotator, then log σ."""

    def __init__(self, *, pair: Ints, prompt: Ints, annotator: Ints, sign: Ints) -> None:
        from scipy import sparse

        self.annotators, who = np.unique(annotator, return_inverse=True)
        self.n = len(self.annotators)
        column = 2 * who + (sign < 0)
        shape = (int(pair.max()) + 1, 2 * self.n)
        # Votes in a table: all that a vote depends on is who gave it and which way.
        self.votes = sparse.csr_matrix((np.ones(len(pair)), (pair, column)), shape=shape)
        self.votes_t = self.votes.T.tocsr()
        self.merge = sparse.csr_matrix(
            (np.ones(2 * self.n), (np.arange(2 * self.n), np.arange(2 * self.n) // 2))
        )
        first = np.unique(pair, return_index=True)[1]
        prompts, index = np.unique(prompt[first], return_inverse=True)
        self.by_prompt = sparse.csr_matrix(
            (np.ones(shape[0]), (index, np.arange(shape[0]))), shape=(len(prompts), shape[0])
        )
        self.nodes, weights = np.polynomial.hermite_e.hermegauss(NODES)
        self.log_weights = np.log(weights / weights.sum())

    def fit(self) -> tuple[Floats, Floats]:
        """The parameters of the highest posterior, and their standard errors."""
        from scipy.optimize import minimize

        start = np.append(np.full(self.n, np.log(PRIOR_RIGHT / PRIOR_WRONG)), np.log(SIGMA))
        found = minimize(
            self.loss,
            start,
            jac=True,
            method="L-BFGS-B",
            bounds=[(-8, 8)] * self.n + [(-3, 3)],
            options={"maxiter": 500, "ftol": 1e-10},
        )
        theta: Floats = found.x
        scores, hessian = self.curvature(theta)
        prior = np.diag(self._prior_curvature(theta))
        bread = np.linalg.pinv(hessian + prior, hermitian=True)
        # What the prior says counts as observed too: where the data say nothing, it is the spread.
        covariance = bread @ (scores.T @ scores + prior) @ bread
        return theta, np.sqrt(np.clip(np.diag(covariance), 0, None))

    def loss(self, theta: Floats) -> tuple[float, Floats]:
        """Minus the log posterior, and its gradient."""
        tables = self._tables(theta)
        total, posterior = self._posterior(tables)
        weights = self.votes_t @ posterior
        gradient = np.append(
            (weights * tables.by_eta).sum(axis=1).reshape(-1, 2).sum(axis=1),
            (weights * tables.by_sigma).sum(),
        )
        eta = _sigmoid(theta[:-1])
        step = theta[-1] - np.log(SIGMA)
        prior = (PRIOR_RIGHT * np.log(eta) + PRIOR_WRONG * np.log1p(-eta)).sum()
        prior -= step**2 / (2 * SIGMA_SPREAD**2)
        by_prior = np.append(PRIOR_RIGHT - (PRIOR_RIGHT + PRIOR_WRONG) * eta, -step / SIGMA_SPREAD**2)
        return -float(total + prior), -(gradient + by_prior)

    def curvature(self, theta: Floats) -> tuple[Any, Floats]:
        """Each prompt's gradient (prompts, parameters), and minus the likelihood's Hessian (Louis)."""
        tables = self._tables(theta)
        _total, posterior = self._posterior(tables)
        weights = self.votes_t @ posterior
        second = np.zeros((self.n + 1, self.n + 1))
        per_eta = (weights * tables.second_eta).sum(axis=1).reshape(-1, 2).sum(axis=1)
        both = (weights * tables.second_both).sum(axis=1).reshape(-1, 2).sum(axis=1)
        second[np.arange(self.n), np.arange(self.n)] = per_eta
        second[: self.n, self.n] = second[self.n, : self.n] = both
        second[self.n, self.n] = (weights * tables.second_sigma).sum()
        square = np.zeros_like(second)
        mean: Any = 0
        for j in range(NODES):
            score = self._scores(tables, j)
            weighted = score.multiply(posterior[:, j : j + 1]).tocsr()
            square += (score.T @ weighted).toarray()
            mean = mean + weighted
        information = -second - square + (mean.T @ mean).toarray()
        return (self.by_prompt @ mean).toarray(), information

    def _scores(self, tables: _Tables, j: int) -> Any:
        """Each pair's gradient, were its Δ at node j (sparse)."""
        from scipy import sparse

        by_eta = self.votes @ (sparse.diags(tables.by_eta[:, j]) @ self.merge)
        return sparse.hstack([by_eta, (self.votes @ tables.by_sigma[:, j])[:, None]]).tocsr()

    def _posterior(self, tables: _Tables) -> tuple[float, Floats]:
        """The log likelihood, and each pair's posterior over the nodes."""
        logs = self.votes @ tables.log + self.log_weights
        top = logs.max(axis=1, keepdims=True)
        shares = np.exp(logs - top)
        sums = shares.sum(axis=1, keepdims=True)
        return float((top + np.log(sums)).sum()), shares / sums

    def _tables(self, theta: Floats) -> _Tables:
        eta = _sigmoid(theta[:-1])[:, None]
        delta = np.sqrt(2) * np.exp(theta[-1]) * self.nodes[None, :]
        s = _sigmoid(delta)
        slope = s * (1 - s) * delta
        bend = slope * (1 - 2 * s) * delta + slope
        width = eta * (1 - eta)
        sides = []
        for sign in (1, -1):
            p = 0.5 + sign * (2 * eta - 1) * (s - 0.5)
            by_eta = sign * width * (2 * s - 1) / p
            by_sigma = sign * (2 * eta - 1) * slope / p
            sides.append(
                (
                    np.log(p),
                    by_eta,
                    by_sigma,
                    by_eta * (1 - 2 * eta) - by_eta**2,
                    sign * (2 * eta - 1) * bend / p - by_sigma**2,
                    sign * 2 * width * slope / p - by_eta * by_sigma,
                )
            )
        plus, minus = sides
        stacked = [
            np.stack([one, other], axis=1).reshape(2 * self.n, NODES)
            for one, other in zip(plus, minus, strict=True)
        ]
        return _Tables(*stacked)

    def _prior_curvature(self, theta: Floats) -> Floats:
        eta = _sigmoid(theta[:-1])
        return np.append((PRIOR_RIGHT + PRIOR_WRONG) * eta * (1 - eta), 1 / SIGMA_SPREAD**2)


def _sigmoid(x: Any) -> Any:
    return 0.5 * (1 + np.tanh(np.asarray(x) / 2))  # does not overflow
