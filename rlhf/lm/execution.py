"""What comes of an instruction when a model follows it on the shown examples: an input of reward models.

People who judge an instruction try it in their minds; this tries it with a frozen model, as APE chooses its
instructions (Zhou et al. 2023, arXiv 2211.01910), on examples that the task shows anyway. Nothing held out is
read. Quoting the examples would win it: so that is an input too.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

from rlhf.lm.backbones import CausalLM
from rlhf.lm.configs import EvaluationConfig, RewardConfig
from rlhf.lm.data import Task
from rlhf.lm.gold import GoldScore, gold_scores, leaks

TRIED = RewardConfig.tried_examples


def execution_covariates(
    lm: CausalLM, items: Sequence[tuple[Task, str]], *, examples: int = TRIED
) -> list[list[float]]:
    """The numbers named in covariates.EXECUTION, of completions in their order. Shape: (N, 4).

    At most so many shown examples of a task are tried. The first three numbers are gold.py's, less what
    they are without an instruction; 0 where nothing can be tried.
    """
    tried = {task: _by_its_shown(task) for task in dict.fromkeys(task for task, _ in items)}
    texts = [(tried[task], text) for task, text in items if text.strip()]
    wanted = list(dict.fromkeys([*texts, *((task, "") for task in tried.values())]))
    how = EvaluationConfig(gold_examples=examples, gold_contrast=3)
    found = dict(zip(wanted, gold_scores(lm, wanted, how), strict=True))
    rows = []
    for task, text in items:
        quotes = float(leaks(text, tried[task]))
        with_it, without = found.get((tried[task], text)), found[tried[task], ""]
        rows.append([*_gained(with_it, without), quotes])
    return rows


def _by_its_shown(task: Task) -> Task:
    """A task that gold.py judges by the examples that this one shows."""
    return dataclasses.replace(task, held_out_examples=task.examples, examples=())


def _gained(with_it: GoldScore | None, without: GoldScore | None) -> tuple[float, float, float]:
    if with_it is None or without is None:
        return 0.0, 0.0, 0.0
    return (
        with_it.contrast - without.contrast,
        with_it.log_likelihood - without.log_likelihood,
        with_it.top - without.top,
    )
