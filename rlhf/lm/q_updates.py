"""The updates of ILQL's heads on states that are there already."""

from __future__ import annotations

import math
from collections import defaultdict

import numpy as np
import torch

from rlhf.lm.configs import IlqlConfig
from rlhf.lm.q_data import Trajectories
from rlhf.lm.q_heads import QHeads, standardise
from rlhf.lm.q_losses import conservative_loss, expectile_loss, td_targets
from rlhf.lm.training_state import spread

FIT_TEXTS = 256


def one_epoch(
    config: IlqlConfig,
    heads: QHeads,
    optimizer: torch.optim.Optimizer,
    embedding: torch.Tensor,
    data: Trajectories,
    epoch: int,
) -> dict[str, float]:
    """Go through all texts once, in an order that follows from seed and epoch; means of the figures."""
    random = np.random.default_rng([config.seed, epoch])
    order = random.permutation(len(data))
    figures: dict[str, list[float]] = defaultdict(list)
    for start in range(0, len(order), config.texts_per_step):
        optimizer.zero_grad()
        places = data.places(order[start : start + config.texts_per_step].tolist()).to(data.states.device)
        some = random.permutation(len(places))[: config.cql_states]
        loss, found = loss_of(config, heads, embedding, data, places, torch.from_numpy(some))
        loss.backward()  # type: ignore[no-untyped-call]
        parameters = [parameter for parameter in heads.parameters() if parameter.requires_grad]
        found["grad_norm"] = float(torch.nn.utils.clip_grad_norm_(parameters, config.max_grad_norm))
        if not math.isfinite(found["grad_norm"]):
            raise FloatingPointError(
                f"epoch {epoch}: the gradient is {found['grad_norm']}; lower learning_rate"
            )
        optimizer.step()
        heads.follow(config.polyak)
        for name, figure in found.items():
            figures[name].append(figure)
    return {name: float(np.mean(found)) for name, found in figures.items()}


def loss_of(
    config: IlqlConfig,
    heads: QHeads,
    embedding: torch.Tensor,
    data: Trajectories,
    places: torch.Tensor,
    conservative: torch.Tensor,
) -> tuple[torch.Tensor, dict[str, float]]:
    """ILQL's loss on the tokens at `places`, whole texts one after another; `conservative` of them meet CQL.

    These few have the same mean as all of them would, and the vocabulary is what takes the time.
    """
    actions = data.actions[places]
    states, rows = standardise(data.states[places]), embedding[actions]  # (N, H) both

    # V learns from the slow copies of Q, and Q from the V of the next state.
    values = heads.value(states)  # (N,)
    with torch.no_grad():
        slow = [heads.of_actions(head(states), rows) for head in heads.slow]
        lesser = torch.stack(slow).amin(0)
        targets = td_targets(
            data.rewards[places],
            values,
            data.last[places],
            gamma=config.gamma,
            td_lambda=config.td_lambda,
        )
    v_loss = expectile_loss(lesser - values, config.tau)
    q_loss = cql_loss = values.new_zeros(())
    for head in heads.q:
        made = head(states)
        q_loss = q_loss + (heads.of_actions(made, rows) - targets).square().mean()
        if config.cql_weight:
            everything = heads.of_all(made[conservative], embedding)
            cql_loss = cql_loss + conservative_loss(everything, actions[conservative])
    loss = q_loss + v_loss + config.cql_weight * cql_loss
    return loss, {
        "loss": float(loss.detach()),
        "q_loss": float(q_loss.detach()),
        "v_loss": float(v_loss.detach()),
        "cql_loss": float(cql_loss.detach()),
        "q": float(lesser.mean()),
        "v": float(values.detach().mean()),
    }


@torch.inference_mode()
def fit(config: IlqlConfig, heads: QHeads, embedding: torch.Tensor, data: Trajectories) -> float:
    """Correlation of min Q̂(s, a) with what came of it, over the tokens of up to FIT_TEXTS texts."""
    places = data.places(spread(range(len(data)), FIT_TEXTS)).to(data.states.device)
    states, rows = standardise(data.states[places]), embedding[data.actions[places]]
    lesser = torch.stack([heads.of_actions(head(states), rows) for head in heads.slow]).amin(0)
    rewards = data.rewards[places]
    returns = td_targets(
        rewards, torch.zeros_like(rewards), data.last[places], gamma=config.gamma, td_lambda=1.0
    )
    return float(torch.corrcoef(torch.stack([lesser, returns]))[0, 1].nan_to_num())
