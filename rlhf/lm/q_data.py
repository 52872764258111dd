"""What Q-learning learns from: texts of training tasks with their rewards, and the states they went through.

The reward comes with a text's last token. It is less the mean of its task's texts, which no token could have
changed, and in units of what spread is left, so that β means the same whatever the reward model's scale.
"""

from __future__ import annotations

import dataclasses
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from rlhf.lm.backbones import CausalLM
from rlhf.lm.configs import IlqlConfig, SamplingConfig
from rlhf.lm.data import Dataset, Task
from rlhf.lm.evaluation import Score
from rlhf.lm.guards import without_copies
from rlhf.lm.pairs import judged_pairs
from rlhf.lm.prompting import generator_ids
from rlhf.lm.sampling import sample
from rlhf.lm.tensors import completion_states, pack_group

Ranked = Mapping[str, Mapping[str, float]]
"""By task: the texts that people ranked, and how often each stood above another one."""


@dataclass(frozen=True)
class RatedText:
    """One text of a task as tokens, with its end token where it was reached; mean and spread of its score."""

    task_id: str
    token_ids: tuple[int, ...]
    score: float
    score_std: float

    def to_json(self) -> list[Any]:
        """As plain JSON."""
        return list(dataclasses.astuple(self))

    @classmethod
    def from_json(cls, row: Sequence[Any]) -> RatedText:
        """Undo `to_json`."""
        return cls(row[0], tuple(row[1]), row[2], row[3])


@dataclass(frozen=True)
class Trajectories:
    """Whole texts one after another, as N tokens: the state in which each was chosen, and what came of it.

    Shapes: `states` (N, H) in the model's precision; `actions`, `rewards`, `last` (N,). Text i is the tokens
    from `starts[i]` to `starts[i + 1]`.
    """

    states: torch.Tensor
    actions: torch.Tensor
    rewards: torch.Tensor
    last: torch.Tensor
    starts: tuple[int, ...]

    def __len__(self) -> int:
        return len(self.starts) - 1

    def places(self, texts: Sequence[int]) -> torch.Tensor:
        """Where the tokens of some texts stand."""
        return torch.cat([torch.arange(self.starts[i], self.starts[i + 1]) for i in texts])


def ranked_texts(dataset: Dataset) -> Ranked:
    """The share of its comparisons that each text of a training task won, ties half, votes by weight."""
    won: dict[str, dict[str, list[float]]] = defaultdict(lambda: defaultdict(lambda: [0.0, 0.0]))
    for pair in judged_pairs(dataset.judgments_on(held_out=False)):
        for text, share in ((pair.first, pair.outcome), (pair.second, 1 - pair.outcome)):
            counts = won[pair.task_id][text]
            counts[0] += share * pair.weight
            counts[1] += pair.weight
    return {
        task_id: {text: wins / votes for text, (wins, votes) in sorted(texts.items())}
        for task_id, texts in sorted(won.items())
    }


def collect(
    config: IlqlConfig, policy: CausalLM, tasks: Sequence[Task], ranked: Ranked, score: Score | None
) -> list[RatedText]:
    """The different texts of some tasks, rated: those that were ranked, and with a `score` sampled ones."""
    end = policy.tokenizer.eos_token_id
    texts: dict[str, dict[str, tuple[int, ...]]] = {
        task.id: {
            text: (*policy.tokenizer(text, add_special_tokens=False)["input_ids"], end)
            for text in ranked.get(task.id, ())
        }
        for task in tasks
    }
    if score is None:
        return [
            RatedText(task_id, tokens, ranked[task_id][text], 0.0)
            for task_id, some in texts.items()
            for text, tokens in some.items()
        ]
    if config.samples_per_task:
        for group in sample(policy, tasks, sampling_config(config)):
            for written in group:
                texts[written.task_id].setdefault(written.text, written.token_ids)
    rows = [(task, text) for task in tasks for text in texts[task.id]]
    if not rows:
        return []
    means, stds = without_copies(score, config.copy_penalty)(rows)
    return [
        RatedText(task.id, texts[task.id][text], float(mean), float(std))
        for (task, text), mean, std in zip(rows, means, stds, strict=True)
    ]


def sampling_config(config: IlqlConfig) -> SamplingConfig:
    """How the texts to learn from are written."""
    return SamplingConfig(
        completions_per_task=config.samples_per_task,
        temperature=config.temperature,
        top_p=config.top_p,
        max_new_tokens=config.max_new_tokens,
        seed=config.seed,
    )


def rewards_of(texts: Sequence[RatedText], pessimism: float) -> np.ndarray:
    """The reward of each text: its pessimistic score less the mean of its task's, over their spread. (n,)."""
    scores = np.array([text.score - pessimism * text.score_std for text in texts])
    tasks = np.unique([text.task_id for text in texts], return_inverse=True)[1]
    centred = scores - (np.bincount(tasks, scores) / np.bincount(tasks))[tasks]
    spread = float(np.sqrt(np.mean(centred**2)))
    if spread < 1e-6:
        raise ValueError("all texts of a task have the same reward: there is nothing to learn from")
    return centred / spread


@torch.inference_mode()
def encode(
    policy: CausalLM, tasks: Mapping[str, Task], texts: Sequence[RatedText], rewards: np.ndarray
) -> Trajectories:
    """Each text's states under the policy; a task's texts share one row with the prompt."""
    by_task: dict[str, list[int]] = defaultdict(list)
    for place, text in enumerate(texts):
        by_task[text.task_id].append(place)
    parts: list[torch.Tensor] = []
    order: list[int] = []
    for task_id, places in by_task.items():
        prompt = generator_ids(policy.tokenizer, tasks[task_id])
        group = pack_group(prompt, [texts[place].token_ids for place in places])
        parts.append(completion_states(policy.model, group))
        order += places
    lengths = [len(texts[place].token_ids) for place in order]
    starts = np.concatenate([[0], np.cumsum(lengths)])
    ends = torch.from_numpy(starts[1:] - 1)
    last = torch.zeros(int(starts[-1]), dtype=torch.bool)
    last[ends] = True
    values = torch.zeros(int(starts[-1]))
    values[ends] = torch.from_numpy(rewards[order]).float()
    device = policy.device
    return Trajectories(
        states=torch.cat(parts).clone(),
        actions=torch.tensor([token for place in order for token in texts[place].token_ids], device=device),
        rewards=values.to(device),
        last=last.to(device),
        starts=tuple(int(start) for start in starts),
    )
