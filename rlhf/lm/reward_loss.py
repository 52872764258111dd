"""What a judgment says of scores: log-likelihoods of votes, orders and "all bad", elementwise, in nats.

The heads on frozen features and the trained backbone learn by the same functions. d is the difference of two
scores; η, how often an annotator says what they mean, enters as log-odds. A flipped vote is one at -d
(Crowd-BT, Chen et al. 2013): P(vote) = η P(vote at d) + (1-η) P(vote at -d).
"""

from __future__ import annotations

import torch
from torch.nn.functional import logsigmoid

CERTAIN = 60.0  # a threshold that nothing reaches, in place of infinity, whose gradient is not a number


def vote_log_likelihood(
    margins: torch.Tensor,
    reliability: torch.Tensor,
    outcomes: torch.Tensor,
    *,
    lift: torch.Tensor | float = 0.0,
    log_tie: torch.Tensor | None = None,
) -> torch.Tensor:
    """log P of votes: `outcomes` is 1 for the first, 0 for the second, or between for a soft target.

    `lift` is the margin by which the winner must lead (Llama-2, Touvron et al. 2023), so what comes out is
    then a loss and no probability. Without `log_tie` 0.5 is half of each side; with it, a tie as Davidson
    (1970) has it: P(tie) = ν/(e^{d/2} + e^{-d/2} + ν), ν = e^{log_tie}.
    """
    trust, doubt = logsigmoid(reliability), logsigmoid(-reliability)
    up, down = margins - lift, -margins - lift
    if log_tie is None:
        won, lost = logsigmoid(up), logsigmoid(down)
    else:
        won, lost = up / 2 - _davidson(up, log_tie), down / 2 - _davidson(down, log_tie)
    first = torch.logaddexp(trust + won, doubt + lost)
    second = torch.logaddexp(trust + lost, doubt + won)
    said = outcomes * first + (1 - outcomes) * second
    if log_tie is None:
        return said
    return torch.where(outcomes == 0.5, log_tie - _davidson(margins, log_tie), said)


def _davidson(margins: torch.Tensor, log_tie: torch.Tensor) -> torch.Tensor:
    return torch.logaddexp(torch.logaddexp(margins / 2, -margins / 2), log_tie)


def graded_log_likelihood(
    margins: torch.Tensor,
    reliability: torch.Tensor,
    outcomes: torch.Tensor,
    strengths: torch.Tensor,
    cuts: torch.Tensor,
) -> torch.Tensor:
    """log P of votes that also say how much better: a cumulative logit model (McCullagh 1980).

    `strengths` is 1 slightly, 2 better, 3 much, 0 not said; `cuts` (3, …) are 0 ≤ t0 < t1 < t2, broadcast
    against the rest: up to t0 it is a tie (Rao and Kupper 1967), then slightly, better, and above t2 much.
    An outcome other than 0, 0.5 and 1 is a soft target, whose strength is not used.
    """
    tie, slightly, better = cuts
    never = torch.full_like(tie, CERTAIN)
    soft = (outcomes != 0) & (outcomes != 1)
    said = torch.where(soft, torch.zeros_like(strengths), strengths)
    low = torch.where(said == 3, better, torch.where(said == 2, slightly, tie))
    high = torch.where(said == 1, slightly, torch.where(said == 2, better, never))
    trust, doubt = logsigmoid(reliability), logsigmoid(-reliability)
    won, lost = _between(margins, low, high), _between(-margins, low, high)
    first = torch.logaddexp(trust + won, doubt + lost)
    second = torch.logaddexp(trust + lost, doubt + won)
    voted = outcomes * first + (1 - outcomes) * second
    return torch.where(outcomes == 0.5, _between(margins, -tie, tie), voted)


def _between(margins: torch.Tensor, low: torch.Tensor, high: torch.Tensor) -> torch.Tensor:
    """log P(low < margins + logistic noise ≤ high) = log(σ(d - low) - σ(d - high))."""
    width = torch.clamp(high - low, min=1e-6)  # where ties are all but impossible the logarithm must not be
    return logsigmoid(margins - low) + logsigmoid(high - margins) + torch.log(-torch.expm1(-width))


def order_log_likelihood(
    scores: torch.Tensor, ranks: torch.Tensor, reliability: torch.Tensor
) -> torch.Tensor:
    """log P of whole rankings (Plackett 1975), shapes (…, k), (…, k), (…): rank 1 is best, 0 fills up a row.

    Tied ones are chosen one after the other without one leaving for the next (Breslow 1974). A flipped
    ranking is the one of the scores turned round. For k = 2 without a tie it is `vote_log_likelihood`.
    """
    trust, doubt = logsigmoid(reliability), logsigmoid(-reliability)
    return torch.logaddexp(trust + _plackett_luce(scores, ranks), doubt + _plackett_luce(-scores, ranks))


def _plackett_luce(scores: torch.Tensor, ranks: torch.Tensor) -> torch.Tensor:
    there = ranks > 0
    # left[i, j]: j is still there when i is chosen
    left = (ranks.unsqueeze(-1) <= ranks.unsqueeze(-2)) & there.unsqueeze(-1) & there.unsqueeze(-2)
    field = scores.unsqueeze(-2).expand(left.shape).masked_fill(~left, -CERTAIN * 1e3)
    chosen = scores - torch.logsumexp(field, -1)
    # The last of an order is no choice; among tied last ones none of them is told from the others.
    last = ranks == ranks.max(-1, keepdim=True).values
    return torch.where(there & ~last, chosen, torch.zeros_like(chosen)).sum(-1)


def bar_log_likelihood(
    scores: torch.Tensor, bar: torch.Tensor, reliability: torch.Tensor, all_bad: torch.Tensor
) -> torch.Tensor:
    """log P that an annotator finds all of a comparison's completions bad, or at least one good enough.

    A completion is good enough with probability σ(s - bar). `scores` (…, k) may hold inf for what fills up
    a row; `all_bad` is 1 or 0.
    """
    none = logsigmoid(bar.unsqueeze(-1) - scores).masked_fill(torch.isinf(scores), 0.0).sum(-1)
    some = torch.log(-torch.expm1(torch.clamp(none, max=-1e-9)))
    trust, doubt = logsigmoid(reliability), logsigmoid(-reliability)
    bad = torch.logaddexp(trust + none, doubt + some)
    good = torch.logaddexp(trust + some, doubt + none)
    return torch.where(all_bad > 0.5, bad, good)
