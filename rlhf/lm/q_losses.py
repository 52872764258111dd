"""The losses of implicit language Q-learning, from tensors to tensors (ILQL, arXiv 2206.11871, §4).

N tokens of whole texts lie one after another; `last` marks the token that ends each.
"""

from __future__ import annotations

import torch


def td_targets(
    rewards: torch.Tensor, values: torch.Tensor, last: torch.Tensor, *, gamma: float, td_lambda: float
) -> torch.Tensor:
    """What Q(s_t, a_t) should be: G_t = r_t + γ [(1 − λ) V(s_t+1) + λ G_t+1]. Shapes: (N,) each -> (N,).

    λ = 0 is ILQL's own r + γ V(s'); λ = 1 the return that came (Sutton and Barto 2018, §12.1).
    """
    targets: list[float] = []
    following, value_after = 0.0, 0.0
    rows = zip(reversed(rewards.tolist()), reversed(values.tolist()), reversed(last.tolist()), strict=True)
    for reward, value, ends in rows:
        ahead = 0.0 if ends else gamma * ((1 - td_lambda) * value_after + td_lambda * following)
        following, value_after = reward + ahead, value
        targets.append(following)
    return torch.tensor(targets[::-1], device=values.device)


def expectile_loss(errors: torch.Tensor, tau: float) -> torch.Tensor:
    """Mean of |τ − 1(u < 0)| u², u = Q̂ − V: V is near the best of the actions seen as τ nears 1.

    Shape: (N,) -> (). As in IQL (Kostrikov et al. 2021, arXiv 2110.06169).
    """
    weights = torch.where(errors < 0, 1 - tau, tau)
    return (weights * errors.square()).mean()


def conservative_loss(values: torch.Tensor, actions: torch.Tensor) -> torch.Tensor:
    """Mean of log Σ_a exp Q(s, a) − Q(s, a_t): what texts never held must not look better than what they did.

    Shapes: (N, V), (N,) -> (). CQL (Kumar et al. 2020, arXiv 2006.04779).
    """
    return torch.nn.functional.cross_entropy(values, actions)
