"""Linear reward heads on fixed features, fitted to judgments with how reliable each annotator is.

The score of completion c is s_c = x_c·w. What the features cannot say of a pair is a deviation of its own,
δ = s_i - s_j + σε, over which the votes on that pair are averaged (Gauss-Hermite): so votes on the same pair
do not count as many findings about w, and a careless annotator is told from a hard pair. Maximising over δ
instead, vote by vote, finds every annotator too reliable: each vote then explains itself.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import torch
from torch.nn.functional import logsigmoid

from rlhf.lm.reward_loss import bar_log_likelihood, order_log_likelihood
from rlhf.lm.vote_likelihood import VoteLikelihood, ballots

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

RELIABILITY_PRIOR = (9.0, 2.0)  # Beta: before any vote, η is most likely 8/9
SPREAD, SPREAD_SD = 2.6, 0.5  # log-normal prior of σ: people mostly tell two completions apart
TIE_SD = 2.0  # of log ν around 0, where a tie is as likely as either side between equals
CUTS = (0.4, 1.2, 2.4)  # where "tie", "slightly" and "better" end before any vote
CUTS_SD = 1.0
BAR_SD = 5.0
FURTHEST = 4.0  # e^4: no spread or grade is wider, wherever a line search looks
STEPS_A_ROUND = 5
MARGIN = 0.5  # by which each level of strength above the first must lead, where strength is a margin


def _none() -> Floats:
    return np.zeros(0)


@dataclass(frozen=True)
class PairArrays:
    """Judged pairs as indices. All of length P but the last two, which may be empty (nothing said, all 1).

    `outcomes` is 1, 0, 0.5 for a tie, or a soft target; `strengths` 1 slightly, 2 better, 3 much, 0 not said.
    """

    first: Ints  # row of the features
    second: Ints
    outcomes: Floats
    annotators: Ints
    tasks: Ints
    strengths: Floats = field(default_factory=_none)
    weights: Floats = field(default_factory=_none)

    def __len__(self) -> int:
        return len(self.first)

    def distinct(self) -> tuple[Ints, Ints, Ints]:
        """The pairs without repetition (U, 2), where each stands first (U,), and which each one is (P,)."""
        keys = np.stack([self.first, self.second], 1)
        unique, at, index = np.unique(keys, axis=0, return_index=True, return_inverse=True)
        return unique, at, index.reshape(-1)

    def take(self, chosen: npt.NDArray[np.bool_] | Ints) -> PairArrays:
        """The pairs where `chosen` is true, or those of these numbers."""
        return PairArrays(*(array[chosen] if len(array) else array for array in vars(self).values()))


@dataclass(frozen=True)
class RankingArrays:
    """Whole judgments of up to k completions as indices; what fills up a row is -1 in `rows`.

    As orders (`ranks` from 1, 0 filling up) or as verdicts on all of them (`all_bad` 1 or 0).
    """

    rows: Ints  # (R, k)
    annotators: Ints
    tasks: Ints
    ranks: Ints = field(default_factory=lambda: np.zeros((0, 0), np.int64))  # (R, k)
    all_bad: Floats = field(default_factory=_none)  # (R,)

    def __len__(self) -> int:
        return len(self.rows)


@dataclass(frozen=True)
class Heads:
    """Fitted heads. Shapes: weights (K, D), reliability (K, A) in (0, 1); `loss` is the mean over pairs.

    `spread` (K,) is σ; `log_tie` (K,) Davidson's log ν, `cuts` (K, 3) the graded model's, `bar` (K,) the
    score from which on a completion is good enough: each as at the start where nothing was learned about it.
    """

    weights: Floats
    reliability: Floats
    loss: float
    spread: Floats
    log_tie: Floats
    cuts: Floats
    bar: Floats


class _Votes:
    """The likelihood of the votes on pairs, and which completions these pairs are of."""

    def __init__(self, pairs: PairArrays, importance: Floats, *, ties: bool, margin: float) -> None:
        strengths = pairs.strengths if len(pairs.strengths) else np.zeros(len(pairs))
        weights = pairs.weights if len(pairs.weights) else np.ones(len(pairs))
        unique, at, index = pairs.distinct()
        shares = importance[:, at]  # (K, U)
        self.left, self.right = torch.from_numpy(unique[:, 0].copy()), torch.from_numpy(unique[:, 1].copy())
        said = ballots(
            index, pairs.annotators, pairs.outcomes, strengths, weights, shares, ties=ties, margin=margin
        )
        self.likelihood = VoteLikelihood(said)
        self.mass = float((shares[:, index] * weights).sum())


class _Parameters:
    """What is learned, as one leaf tensor each, from the prior or from heads fitted before."""

    def __init__(self, heads: int, width: int, people: int, start: Heads | None) -> None:
        a, b = RELIABILITY_PRIOR
        double = torch.double
        self.weights = torch.zeros(heads, width, dtype=double)
        self.log_odds = torch.full((heads, people), float(np.log((a - 1) / (b - 1))), dtype=double)
        self.log_spread = torch.full((heads,), float(np.log(SPREAD)), dtype=double)
        self.log_tie = torch.zeros(heads, dtype=double)
        self.log_gaps = torch.log(torch.tensor(np.diff((0.0, *CUTS)), dtype=double)).repeat(heads, 1)
        self.bar = torch.zeros(heads, dtype=double)
        self.first_gaps = self.log_gaps.clone()
        if start is not None:
            self._continue(start)
        self.units = [torch.ones(())] * 6
        self.all = [
            self.weights,
            self.log_odds,
            self.log_spread,
            self.log_tie,
            self.log_gaps,
            self.bar,
        ]
        for tensor in self.all:
            tensor.requires_grad_()

    def measure(self, units: Sequence[torch.Tensor]) -> None:
        """Learn what is learned in these units, one a tensor of `all`: the values stay as they are."""
        self.units = list(units)
        self.all = [
            (tensor.detach() / unit).requires_grad_() for tensor, unit in zip(self.all, units, strict=True)
        ]
        self.unfold()

    def unfold(self) -> None:
        """Make the values anew from what is learned; before each evaluation."""
        values = [tensor * unit for tensor, unit in zip(self.all, self.units, strict=True)]
        self.weights, self.log_odds, self.log_spread, self.log_tie, self.log_gaps, self.bar = values

    def _continue(self, start: Heads) -> None:
        """From other heads of the same features, of whose annotators these have the first ones too."""
        if start.weights.shape != tuple(self.weights.shape) or start.reliability.shape[1] > len(
            self.log_odds[0]
        ):
            raise ValueError("heads can only be continued with as many heads, features and annotators")
        self.weights = torch.from_numpy(start.weights.copy())
        known = np.clip(start.reliability, 1e-9, 1 - 1e-9)
        self.log_odds[:, : known.shape[1]] = torch.from_numpy(np.log(known / (1 - known)))
        self.log_spread = torch.from_numpy(np.log(start.spread))
        self.log_tie, self.bar = torch.from_numpy(start.log_tie.copy()), torch.from_numpy(start.bar.copy())
        gaps = np.diff(start.cuts, axis=1, prepend=0.0)
        self.log_gaps = torch.from_numpy(np.log(np.maximum(gaps, 1e-6)))

    @property
    def cuts(self) -> torch.Tensor:
        """(K, 3), rising."""
        rising: torch.Tensor = torch.cumsum(self.log_gaps.clamp(max=FURTHEST).exp(), 1)
        return rising

    @property
    def spread(self) -> torch.Tensor:
        """(K,)."""
        sizes: torch.Tensor = self.log_spread.clamp(max=FURTHEST).exp()
        return sizes

    def log_prior(self, l2: float | torch.Tensor) -> torch.Tensor:
        a, b = RELIABILITY_PRIOR
        reliability = (a - 1) * logsigmoid(self.log_odds) + (b - 1) * logsigmoid(-self.log_odds)
        spread = (self.log_spread - np.log(SPREAD)) / SPREAD_SD
        gaps = (self.log_gaps - self.first_gaps) / CUTS_SD
        others = spread.square().sum() + (self.log_tie / TIE_SD).square().sum()
        others = others + gaps.square().sum() + (self.bar / BAR_SD).square().sum()
        prior: torch.Tensor = reliability.sum() - others / 2 - (l2 / 2 * self.weights.square()).sum()
        return prior

    def heads(self, loss: float) -> Heads:
        def out(tensor: torch.Tensor) -> Floats:
            return np.asarray(tensor.detach().numpy().copy(), dtype=np.float64)

        return Heads(
            weights=out(self.weights),
            reliability=out(self.log_odds.sigmoid()),
            loss=loss,
            spread=out(self.spread),
            log_tie=out(self.log_tie),
            cuts=out(self.cuts),
            bar=out(self.bar),
        )


def fit_heads(
    features: Floats,
    pairs: PairArrays,
    *,
    heads: int,
    l2: float | Floats,
    steps: int,
    seed: int,
    annotators: int | None = None,
    ties: str = "davidson",
    strength: str = "graded",
    margin: float = MARGIN,
    orders: RankingArrays | None = None,
    verdicts: RankingArrays | None = None,
    start: Heads | None = None,
    importance: Floats | None = None,
    scaled: bool = False,
) -> Iterator[Heads]:
    """Fit by L-BFGS; yields the heads after each few iterations, the last time when it ends.

    `features` is (C, D), standardised; `l2` one penalty, or one a column. Heads differ by a Bayesian
    bootstrap over tasks (Rubin 1981): each weighs the tasks anew, or as `importance` (heads, tasks) says. A
    single head weighs all alike. `scaled` steps by about how curved the loss is along what is not a weight:
    for features that are so scaled themselves. `ties` is "half" or "davidson"; `strength`
    "graded" (then ties are Rao and Kupper's), "margin" (`margin` for each level above the first) or
    "ignored". `orders` are learned from as wholes (Plackett-Luce), `verdicts` as all bad or not.
    `start` continues other heads. Raises ValueError where there is nothing to fit, or on an unknown name.
    """
    if not len(pairs) and not (orders and len(orders)):
        raise ValueError("there are no judged pairs to fit")
    if ties not in ("half", "davidson") or strength not in ("graded", "margin", "ignored"):
        raise ValueError(f"unknown way to read ties ({ties}) or strength ({strength})")
    x = torch.from_numpy(features).double()  # (C, D)
    groups = [group for group in (pairs, orders, verdicts) if group is not None and len(group)]
    of_tasks = [group.tasks for group in groups]
    if importance is not None:
        shares = [importance[:, tasks] for tasks in of_tasks]
    else:
        shares = _task_weights(of_tasks, heads, seed)  # each (K, rows of the group)
    people = annotators or 1 + max(int(group.annotators.max()) for group in groups)
    learned = _Parameters(heads, x.shape[1], people, start)
    if not (pairs.outcomes == 0.5).any():
        ties = "half"  # nobody said it, perhaps nobody could: then it has no probability
    if not pairs.strengths.any() and strength == "graded":
        strength = "ignored"
    votes: _Votes | None = None
    rankings: list[tuple[RankingArrays, torch.Tensor]] = []
    for group, share in zip(groups, shares, strict=True):
        if isinstance(group, PairArrays):
            lift = margin if strength == "margin" else 0.0
            votes = _Votes(group, share, ties=strength == "graded" or ties == "davidson", margin=lift)
        else:
            rankings.append((group, torch.from_numpy(share)))
    penalty = torch.from_numpy(l2) if isinstance(l2, np.ndarray) else l2
    if scaled:
        learned.measure(_units(groups, people))
    optimiser = torch.optim.LBFGS(learned.all, max_iter=STEPS_A_ROUND, line_search_fn="strong_wolfe")
    mass = (votes.mass if votes else 0.0) + sum(float(share.sum()) for _, share in rankings)
    log_likelihood = torch.zeros(())

    def of_pairs(scores: torch.Tensor, votes: _Votes) -> torch.Tensor:
        means = scores[:, votes.left] - scores[:, votes.right]  # (K, U)
        if strength == "graded":
            return votes.likelihood.graded(means, learned.spread, learned.log_odds, learned.cuts)
        log_tie = learned.log_tie if ties == "davidson" else None
        return votes.likelihood.chosen(means, learned.spread, learned.log_odds, log_tie)

    def of_rankings(scores: torch.Tensor) -> torch.Tensor:
        total = torch.zeros((), dtype=torch.double)
        for group, share in rankings:
            rows = torch.from_numpy(group.rows)
            shown = scores[:, rows.clamp(min=0)]  # (K, R, k)
            trust = learned.log_odds[:, torch.from_numpy(group.annotators)]
            if len(group.ranks):
                ranks = torch.from_numpy(group.ranks).expand(shown.shape)
                said = order_log_likelihood(shown, ranks, trust)
            else:
                shown = shown.masked_fill(rows < 0, float("inf"))
                said = bar_log_likelihood(shown, learned.bar[:, None], trust, torch.from_numpy(group.all_bad))
            total = total + (share * said).sum()
        return total

    def penalised_loss() -> float:
        nonlocal log_likelihood
        optimiser.zero_grad()
        learned.unfold()
        scores = learned.weights @ x.T  # (K, C)
        log_likelihood = of_rankings(scores)
        if votes is not None:
            log_likelihood = log_likelihood + of_pairs(scores, votes)
        loss = -log_likelihood - learned.log_prior(penalty)
        loss.backward()  # type: ignore[no-untyped-call]
        return float(loss.detach())

    with torch.enable_grad():
        for _ in range(max(1, steps // STEPS_A_ROUND)):
            optimiser.step(penalised_loss)  # type: ignore[no-untyped-call]
            learned.unfold()
            yield learned.heads(loss=-float(log_likelihood.detach()) / mass)


def _units(groups: Sequence[PairArrays | RankingArrays], people: int) -> list[torch.Tensor]:
    """About one over the root of the curvature that so many votes give each of `_Parameters.all`."""
    theirs = sum(np.bincount(group.annotators, minlength=people) for group in groups)
    count = float(np.sum(theirs))
    curvatures = (
        1.0,
        0.03 * theirs + 1.0,
        0.03 * count + 4,
        0.1 * count + 1,
        0.1 * count + 1,
        0.1 * count + 1,
    )
    return [torch.as_tensor(1 / np.sqrt(curvature), dtype=torch.double) for curvature in curvatures]


def last_heads(rounds: Iterator[Heads]) -> Heads:
    """The heads when fitting has ended."""
    *_, last = rounds
    return last


def fit_temperature(margins: Floats, outcomes: Floats) -> float:
    """T > 0 such that σ(margin / T) is the likeliest: calibration that changes no order (Guo et al. 2017)."""
    candidates = np.exp(np.linspace(np.log(0.05), np.log(50.0), 400))
    losses = [
        float(
            np.mean(outcomes * np.logaddexp(0, -margins / t) + (1 - outcomes) * np.logaddexp(0, margins / t))
        )
        for t in candidates
    ]
    return float(candidates[int(np.argmin(losses))])


def _task_weights(groups: Sequence[Ints], heads: int, seed: int) -> list[Floats]:
    """Each head's weight of each row; those of a task move together. Each (heads, rows), mean about 1."""
    if heads == 1:
        return [np.ones((1, len(tasks))) for tasks in groups]
    numbers, index = np.unique(np.concatenate(groups), return_inverse=True)
    drawn = np.random.default_rng(seed).dirichlet(np.ones(len(numbers)), size=heads) * len(numbers)
    ends = np.cumsum([len(tasks) for tasks in groups])[:-1]
    return [np.asarray(drawn[:, part], dtype=np.float64) for part in np.split(index, ends)]
