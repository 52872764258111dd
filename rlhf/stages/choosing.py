"""Which completions people are asked to compare: between `rlhf.lm.selection` and the queue."""

from __future__ import annotations

import logging
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from annotator.models import Completion, Project
from annotator.ranking.queue import NewComparison
from rlhf import runs
from rlhf.lm.acquisition import RANDOM
from rlhf.lm.checkpoints import BadCheckpoint
from rlhf.lm.data import Task
from rlhf.lm.reward_model import RewardModel
from rlhf.lm.selection import Candidates, choose
from rlhf.stages.loading import newest_reward_of

log = logging.getLogger(__name__)

SHOWN = 3
"""How often each completion is shown: pairs of four give all six."""
RANDOM_SHARE = 0.2
"""An unbiased stream, by which the reward model can be judged."""


@dataclass(frozen=True)
class Texts:
    """The different texts written for one prompt; with what each head of the reward model says of them."""

    task: Task
    texts: tuple[str, ...]
    head_scores: npt.NDArray[np.float64] | None


class Chooser:
    """Chooses for one project: by its strategy with the newest reward model, at random without one."""

    def __init__(self, project: Project, *, seed: int) -> None:
        self.size = project.completions_per_comparison
        self.seed = seed
        self.rule = project.selection_strategy
        self.reward = None if self.rule == RANDOM else _reward(project)

    def look_at(self, task: Task, texts: Sequence[str]) -> Texts:
        """Score the texts. This takes a while: not for within a transaction."""
        different = tuple(dict.fromkeys(texts))
        if self.reward is None or len(different) < 2:
            return Texts(task, different, None)
        return Texts(task, different, self.reward.head_scores([(task, text) for text in different]))

    def choose(self, chunk: Sequence[tuple[Texts, Sequence[Completion]]]) -> list[NewComparison]:
        """Comparisons of some prompts' stored completions, one for each of their texts in the same order."""
        rows = {seen.task.id: [row.pk for row in completions] for seen, completions in chunk}
        choices = choose(
            [Candidates(seen.task.id, len(seen.texts), seen.head_scores) for seen, _ in chunk],
            count=sum(self.wanted(len(seen.texts)) for seen, _ in chunk),
            rule=self.rule,
            size=self.size,
            random_share=RANDOM_SHARE,
            repeat_share=0.0,  # what nobody has judged yet cannot be repeated
            seed=self.seed,
        )
        return [
            NewComparison(
                prompt_id=int(choice.task_id),
                completion_ids=tuple(sorted({rows[choice.task_id][place] for place in choice.completions})),
                priority=choice.priority,
                rule=choice.rule,
            )
            for choice in choices
        ]

    def wanted(self, count: int) -> int:
        """How many comparisons a prompt with so many completions should have."""
        size = min(self.size, count)
        return min(math.ceil(SHOWN * count / size), math.comb(count, size)) if size >= 2 else 0


def _reward(project: Project) -> RewardModel | None:
    checkpoint = runs.latest_reward(project)
    if checkpoint is None:
        return None
    try:
        return newest_reward_of(checkpoint)
    except BadCheckpoint as error:  # comparisons at random are better than none
        log.warning("comparisons are chosen at random: %s", error)
        return None
