"""The gold metric along a policy run: on some held-out tasks every n steps, with the same texts' reward.

The texts are written with the same random numbers each time. They are only looked at: nothing is learned from
them, and a run that is looked at has the same numbers otherwise. What it costs: at each measurement
`TASKS * COMPLETIONS` texts are sampled, scored, and judged on the executor as in an evaluation.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from rlhf.lm.backbones import CausalLM
from rlhf.lm.configs import EvaluationConfig, SamplingConfig
from rlhf.lm.data import Task
from rlhf.lm.gold import gold_scores
from rlhf.lm.over_optimisation import COMPLETIONS, TASKS, measured
from rlhf.lm.sampling import sample
from rlhf.lm.training_state import spread

Score = Callable[[list[tuple[Task, str]]], tuple[np.ndarray, np.ndarray]]
Judge = Callable[[CausalLM], dict[str, float]]
"""What is found of a policy as it is now: the values that `over_optimisation.measured` gives."""

SEED = 7919  # not the run's: the texts for people to look at are others


def judge_on(
    tasks: Sequence[Task], *, executor: CausalLM, score: Score | None, max_new_tokens: int
) -> Judge | None:
    """Judges a policy on up to TASKS of the tasks that have held-out examples; None if there are none."""
    chosen = spread([task for task in tasks if task.held_out_examples], TASKS)
    if not chosen:
        return None
    writing = SamplingConfig(completions_per_task=COMPLETIONS, max_new_tokens=max_new_tokens, seed=SEED)
    by_id = {task.id: task for task in chosen}

    def judge(policy: CausalLM) -> dict[str, float]:
        items = [(by_id[c.task_id], c.text) for group in sample(policy, chosen, writing) for c in group]
        means, stds = score(items) if score else (None, None)
        rewards = [None] * len(items) if means is None or stds is None else list((means - stds).tolist())
        return gold_beside(executor, items, rewards)

    return judge


def gold_beside(
    executor: CausalLM, items: Sequence[tuple[Task, str]], rewards: Sequence[float | None]
) -> dict[str, float]:
    """The texts' gold and their rewards (N,), as values of a record (`over_optimisation.measured`)."""
    found = gold_scores(executor, items, EvaluationConfig())
    contrasts = [None if gold is None else gold.contrast for gold in found]
    return measured(by_task(items, contrasts), by_task(items, rewards))


def by_task(items: Sequence[tuple[Task, str]], values: Sequence[float | None]) -> dict[str, float]:
    """Mean value by task id; tasks without any are left out."""
    found: dict[str, list[float]] = {}
    for (task, _), value in zip(items, values, strict=True):
        if value is not None:
            found.setdefault(task.id, []).append(value)
    return {task_id: float(np.mean(some)) for task_id, some in found.items()}
