"""How a policy that decodes by Q heads fares at some β: reward, gold, distance from the policy without it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from rlhf.lm.backbones import CausalLM
from rlhf.lm.configs import IlqlConfig, SamplingConfig
from rlhf.lm.data import Task
from rlhf.lm.evaluation import Score
from rlhf.lm.gold_along import gold_beside
from rlhf.lm.guards import repetition, without_copies
from rlhf.lm.prompting import generator_ids
from rlhf.lm.q_heads import PerturbedOutput
from rlhf.lm.sampling import SampledCompletion, sample
from rlhf.lm.tensors import completion_states, pack_group, sum_by_owner


def betas(config: IlqlConfig) -> list[float]:
    """0, which is the policy without Q, then doubling up to the largest."""
    return [0.0, *(config.beta / 2**halvings for halvings in reversed(range(config.beta_trials)))]


def measure(
    config: IlqlConfig,
    lm: CausalLM,
    output: PerturbedOutput,
    tasks: Sequence[Task],
    score: Score | None,
    executor: CausalLM | None,
) -> dict[str, float]:
    """What texts are like that it writes for these tasks at its β, drawn from its whole distribution.

    Gold is on those of the tasks that have held-out examples.
    """
    rollouts = SamplingConfig(
        completions_per_task=config.check_samples,
        temperature=1.0,
        top_p=1.0,
        max_new_tokens=config.max_new_tokens,
        seed=config.seed + 1,  # not the texts that were learned from
    )
    groups = {group[0].task_id: group for group in sample(lm, tasks, rollouts)}
    written = [completion for task in tasks for completion in groups[task.id]]
    kls, entropies = zip(*(divergence(lm, output, task, groups[task.id]) for task in tasks), strict=True)
    values = {
        "beta": output.beta,
        "kl": float(torch.cat(kls).mean()),
        "entropy": float(torch.cat(entropies).mean()),
        "length": float(np.mean([len(c.token_ids) for c in written])),
        "finished": float(np.mean([c.finished for c in written])),
        "repetition": repetition([c.text for c in written]),
        "score_std": 0.0,
    }
    items = [(task, c.text) for task in tasks for c in groups[task.id]]
    rewards: list[float | None] = [None] * len(items)
    if score is not None:
        means, stds = without_copies(score, config.copy_penalty)(items)
        pessimistic = means - config.pessimism * stds
        rewards = list(pessimistic.tolist())
        values |= {
            "score": float(np.mean(means)),
            "score_std": float(np.mean(stds)),
            "reward": float(np.mean(pessimistic)),
        }
    if executor is not None:
        values |= gold_beside(executor, items, rewards)
    return values


@torch.inference_mode()
def divergence(
    lm: CausalLM, output: PerturbedOutput, task: Task, group: Sequence[SampledCompletion]
) -> tuple[torch.Tensor, torch.Tensor]:
    """KL of each completion from the policy without Q, and the entropy of each token. Shapes: (G,), (N,).

    KL is Σ_t KL(π_β(·|s_t) ‖ π(·|s_t)) along the completion, as in policy_gradient.py.
    """
    packed = pack_group(generator_ids(lm.tokenizer, task), [c.token_ids for c in group])
    states = completion_states(lm.model, packed)
    without = output.base(states).float().log_softmax(-1)  # (N, V)
    logprobs = output(states).float().log_softmax(-1)
    probabilities = logprobs.exp()
    kl = sum_by_owner((probabilities * (logprobs - without)).sum(-1), packed)
    return kl.cpu(), -(probabilities * logprobs).sum(-1).cpu()
