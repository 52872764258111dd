"""The likelihood of votes on pairs with its derivatives written out: `reward_loss`'s, several times as fast.

A vote is P = η A(d) + (1-η) A(-d), A(d) being how likely what was said is where d is meant. A is made of σ
and e^-|x| alone, so nothing overflows however far a line search goes. Nodes of the quadrature are the first
axis: what all of them share is then read along memory.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

NODES = 9  # of the quadrature
FAR = 300.0
"""Differences beyond count as this: there a probability is 1e-130, and its logarithm still a number."""
NARROWEST = 1e-6
"""The least width of a grade: where ties are all but impossible their logarithm must not be infinite."""
MOST_TIED = 60.0
"""The largest |log ν|: further out, e^log ν would leave what a number can hold."""


@dataclass(frozen=True)
class Ballots:
    """Votes as arrays of length V, each for one side or for a tie: a soft one is two that share its weight.

    `pair` numbers the pair below U, `sign` is -1 for its second, `lift` what the winner must lead by, `grade`
    what was said of the strength: 1 slightly, 2 better, 3 much, 0 nothing.
    """

    pair: torch.Tensor
    people: torch.Tensor
    sign: torch.Tensor
    tied: torch.Tensor
    grade: torch.Tensor
    lift: torch.Tensor
    weights: torch.Tensor
    importance: torch.Tensor  # (K, U)

    @property
    def in_order(self) -> bool:
        """Vote n is the only one on pair n."""
        return torch.equal(self.pair, torch.arange(self.importance.shape[1]))


def ballots(
    pair: Ints,
    people: Ints,
    outcomes: Floats,
    strengths: Floats,
    weights: Floats,
    importance: Floats,
    *,
    ties: bool,
    margin: float,
) -> Ballots:
    """`ties` is whether 0.5 says "neither" (else it is half a vote for each); `margin` is for each level."""
    tied = (outcomes == 0.5) & ties
    soft = ~tied & (outcomes != 0) & (outcomes != 1)
    which = np.concatenate([np.arange(len(pair)), np.flatnonzero(soft)])  # then the second halves
    second = np.concatenate([outcomes == 0, np.ones(int(soft.sum()), dtype=bool)])
    share = np.concatenate([np.where(soft, outcomes, 1.0), 1 - outcomes[soft]])
    by_pair = np.argsort(pair[which], kind="stable")
    which = which[by_pair]
    columns = (
        pair[which],
        people[which],
        np.where(second, -1.0, 1.0)[by_pair],
        tied[which],
        np.where(soft | tied, 0, strengths).astype(np.int64)[which],
        np.where(tied, 0.0, margin * np.maximum(strengths - 1, 0))[which],
        weights[which] * share[by_pair],
        importance,
    )
    return Ballots(*(torch.from_numpy(np.ascontiguousarray(column)) for column in columns))


class VoteLikelihood:
    """Σ importance · log ∫ Π P(vote | d) over what the pair's d is, normal around the scores' difference."""

    def __init__(self, votes: Ballots) -> None:
        nodes, masses = np.polynomial.hermite_e.hermegauss(NODES)
        self.votes = votes
        self.in_order = votes.in_order
        self.points = torch.from_numpy(nodes)[:, None, None]
        self.log_masses = torch.from_numpy(np.log(masses / masses.sum()))[:, None, None]
        self.lifted = bool(votes.lift.any())
        self.some_tied = bool(votes.tied.any())
        # Rows of the table of thresholds in `graded`: -t0, t0, t1, t2, ∞
        self.low = torch.where(votes.tied, 0, torch.clamp(votes.grade, min=1))
        above = torch.where((votes.grade == 0) | (votes.grade == 3), 4, votes.grade + 1)
        self.high = torch.where(votes.tied, 1, above)

    def chosen(
        self,
        means: torch.Tensor,
        spread: torch.Tensor,
        log_odds: torch.Tensor,
        log_tie: torch.Tensor | None = None,
    ) -> torch.Tensor:
        """Of votes for a side, with Davidson's ties or (half votes) without.

        Shapes: means (K, U), spread (K,), log_odds (K, A), log_tie (K,) -> ().
        """
        trust = log_odds[:, self.votes.people]
        extra = () if log_tie is None else (log_tie.clamp(-MOST_TIED, MOST_TIED)[:, None],)
        return self._sum(means, spread, trust, *extra)

    def graded(
        self, means: torch.Tensor, spread: torch.Tensor, log_odds: torch.Tensor, cuts: torch.Tensor
    ) -> torch.Tensor:
        """Of votes that may say how much better: low < d + noise ≤ high. Shapes as above, cuts (K, 3)."""
        votes = self.votes
        table = torch.cat([-cuts[:, :1], cuts, torch.full_like(cuts[:, :1], torch.inf)], 1)  # (K, 5)
        low, high = table[:, self.low], table[:, self.high]  # (K, V)
        width = torch.clamp(high - low, min=NARROWEST)
        said = torch.log(-torch.expm1(-width)) * votes.weights * votes.importance[:, votes.pair]
        return self._sum(means, spread, log_odds[:, votes.people], low, high) + said.sum()

    def _sum(
        self, means: torch.Tensor, spread: torch.Tensor, trust: torch.Tensor, *extra: torch.Tensor
    ) -> torch.Tensor:
        total: torch.Tensor = _Sum.apply(self, means, spread, trust, *extra)  # type: ignore[no-untyped-call]
        return total

    def derivatives(
        self, means: torch.Tensor, spread: torch.Tensor, trust: torch.Tensor, *extra: torch.Tensor
    ) -> tuple[torch.Tensor, tuple[torch.Tensor, ...]]:
        """The sum, and its derivatives by each argument."""
        votes, (heads, pairs) = self.votes, means.shape
        d = means + spread[:, None] * self.points  # (Q, K, U), then (Q, K, V)
        d = (d if self.in_order else d[..., votes.pair]).mul_(votes.sign).clamp_(-FAR, FAR)
        eta, doubt = trust.sigmoid(), trust.neg().sigmoid()
        up, down = self._said(d, *extra), self._said(-d, *extra)
        chance = eta * up[0] + doubt * down[0]
        slopes = [eta * up[1] - doubt * down[1], eta * doubt * (up[0] - down[0])]
        slopes += [eta * a + doubt * b for a, b in zip(up[2:], down[2:], strict=True)]
        if len(extra) == 1 and self.some_tied:
            chance, slopes = self._or_tied(chance, slopes, up[0], down[0], extra[0], d)
        said = chance.log() * votes.weights
        if not self.in_order:
            said = torch.zeros(NODES, heads, pairs, dtype=said.dtype).index_add_(2, votes.pair, said)
        said += self.log_masses
        of_pair = torch.logsumexp(said, 0)  # (K, U)
        total = (votes.importance * of_pair).sum()
        share = (said - of_pair).exp_().mul_(votes.importance)  # (Q, K, U), of what the node adds
        if not self.in_order:
            share = share[..., votes.pair]
        share = (share * votes.weights).div_(chance)
        by_margin, by_trust, *by_extra = (slope.mul_(share) for slope in slopes)
        by_margin *= votes.sign
        by_means = by_margin.sum(0)
        if not self.in_order:
            by_means = torch.zeros_like(means).index_add_(1, votes.pair, by_means)
        found = [by_means, (by_margin * self.points).sum((0, 2)), by_trust.sum(0)]
        if len(extra) == 1:  # one for all votes
            found += [slope.sum((0, 2))[:, None] for slope in by_extra]
        else:
            found += [slope.sum(0) for slope in by_extra]
        return total, tuple(found)

    def _said(self, d: torch.Tensor, *extra: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """A(d), its derivative by d, and those by each of `extra`."""
        if len(extra) == 2:
            low, high = extra
            above, below = (d - low).sigmoid_(), (high - d).sigmoid_()
            chance = above * below  # the width's factor is the same at d and at -d
            return chance, chance * (below - above), chance * (above - 1), chance * (1 - below)
        d = d - self.votes.lift if self.lifted else d
        if not extra:
            chance = d.sigmoid()
            return chance, chance * (1 - chance)
        half = (d / -2).exp_()  # e^150 at most
        tie = extra[0].exp() * half
        chance = 1 / (half * half + tie + 1)
        tie *= chance
        return chance, chance * (1 - chance - tie / 2), -chance * tie

    def _or_tied(
        self,
        chance: torch.Tensor,
        slopes: list[torch.Tensor],
        up: torch.Tensor,
        down: torch.Tensor,
        log_tie: torch.Tensor,
        d: torch.Tensor,
    ) -> tuple[torch.Tensor, list[torch.Tensor]]:
        """Davidson's ties in their places: ν/(e^d/2 + e^-d/2 + ν), whether or not somebody is flipped."""
        half = (d.abs() / -2).exp_()
        tie = log_tie.exp() * half
        tie /= half * half + tie + 1
        tied = self.votes.tied
        theirs = [tie * (down - up) / 2, torch.zeros_like(tie), tie * (1 - tie)]
        return torch.where(tied, tie, chance), [
            torch.where(tied, own, slope) for own, slope in zip(theirs, slopes, strict=True)
        ]


class _Sum(torch.autograd.Function):
    @staticmethod
    def forward(context: Any, likelihood: VoteLikelihood, *arguments: torch.Tensor) -> torch.Tensor:
        total, slopes = likelihood.derivatives(*arguments)
        context.save_for_backward(*slopes)
        return total

    @staticmethod
    def backward(context: Any, *outer: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        return None, *(outer[0] * slope for slope in context.saved_tensors)
