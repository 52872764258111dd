"""DPO: fine-tunes the generator on preferences, without a reward model or samples of its own.

Rafailov et al. 2023, arXiv 2305.18290; IPO: Azar et al. 2023, arXiv 2310.12036. A preference is a soft
target: how likely the first is better, given who said so; 1 - ε is DPO with label smoothing (cDPO).
"""

from __future__ import annotations

import sys
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from torch.nn.functional import logsigmoid

from rlhf.lm import launch, offline
from rlhf.lm.backbones import CausalLM
from rlhf.lm.configs import DpoConfig
from rlhf.lm.data import Dataset, Record
from rlhf.lm.gold_along import Judge
from rlhf.lm.jobs import Job
from rlhf.lm.offline import Group
from rlhf.lm.pairs import judged_pairs
from rlhf.lm.processes import ALONE, Processes
from rlhf.versions import code_version

SOMEBODY = 0.9  # η of who is not known


@dataclass(frozen=True)
class Preference:
    """Of two texts of a group, by their places: how likely the first is the better one, and its weight."""

    first: int
    second: int
    target: float
    weight: float


def train(
    config: DpoConfig,
    *,
    policy: CausalLM,
    dataset: Dataset,
    reliability: Mapping[str, float],
    folder: Path,
    judge: Judge | None = None,
    code_version: str = "",
    processes: Processes = ALONE,
) -> Iterator[Record]:
    """Train on the judgments of tasks that are not held out. See `offline.train`.

    `reliability` is each annotator's η, as a reward model learned it.
    """
    groups, said = preferences(dataset, reliability)

    def loss(
        number: int, logprobs: torch.Tensor, ref: torch.Tensor, lengths: torch.Tensor
    ) -> tuple[torch.Tensor, dict[str, float]]:
        return preference_loss(config, said[number], logprobs, ref, lengths)

    facts = [[[p.first, p.second, p.target, p.weight] for p in some] for some in said]
    return offline.train(
        config,
        policy=policy,
        groups=groups,
        loss=loss,
        facts=facts,
        folder=folder,
        judge=judge,
        code_version=code_version,
        processes=processes,
    )


def preferences(
    dataset: Dataset, reliability: Mapping[str, float]
) -> tuple[list[Group], list[list[Preference]]]:
    """A group for each training task, with one preference for each pair that was not only tied.

    Votes on a pair are averaged: of somebody with η a vote for the first makes it better with chance η.
    """
    votes: dict[str, dict[tuple[str, str], list[tuple[float, float]]]] = defaultdict(
        lambda: defaultdict(list)
    )
    for pair in judged_pairs(dataset.judgments_on(held_out=False)):
        if pair.outcome != 0.5:
            eta = reliability.get(pair.annotator, SOMEBODY)
            target = eta * pair.outcome + (1 - eta) * (1 - pair.outcome)
            votes[pair.task_id][pair.first, pair.second].append((target, pair.weight))
    groups, said = [], []
    for task_id, pairs in sorted(votes.items()):
        texts = tuple(sorted({text for both in pairs for text in both}))
        groups.append(Group(dataset.tasks[task_id], texts))
        said.append(
            [
                Preference(
                    texts.index(first),
                    texts.index(second),
                    sum(t * w for t, w in given) / sum(w for _, w in given),
                    sum(w for _, w in given),
                )
                for (first, second), given in sorted(pairs.items())
            ]
        )
    return groups, said


def preference_loss(
    config: DpoConfig,
    said: list[Preference],
    logprobs: torch.Tensor,
    ref: torch.Tensor,
    lengths: torch.Tensor,
) -> tuple[torch.Tensor, dict[str, float]]:
    """Mean over the preferences, by weight; and how far the preferred ones lead. Shapes: (G,) each -> ()."""
    first, second = [p.first for p in said], [p.second for p in said]
    targets = logprobs.new_tensor([p.target for p in said])
    weights = logprobs.new_tensor([p.weight for p in said])
    ratios = logprobs - ref  # log π/π_ref
    if config.loss == "ipo":  # of a token's mean, as the longer text has more to gain
        per_token = ratios / lengths
        margins = per_token[first] - per_token[second]
        aim = 1 / (2 * config.beta)
        losses = targets * (margins - aim).square() + (1 - targets) * (margins + aim).square()
    else:
        margins = config.beta * (ratios[first] - ratios[second])
        losses = -(targets * logsigmoid(margins) + (1 - targets) * logsigmoid(-margins))
    loss = (weights * losses).sum() / weights.sum()
    sides = torch.where(targets > 0.5, 1.0, -1.0)
    better = sorted({p.first if p.target > 0.5 else p.second for p in said})
    if config.sft_weight:
        loss = loss - config.sft_weight * (logprobs[better] / lengths[better]).mean()
    with torch.no_grad():
        leads = sides * margins
        figures = {
            "accuracy_train": float((leads > 0).double().mean()),
            "margin": float(leads.mean()),
            "chosen": float(ratios[better].mean()),
        }
    return loss, figures


def start(job: Job, processes: Processes) -> Iterator[Record]:
    """Train as a file says: `accelerate launch -m rlhf.lm.dpo --config run.json`."""
    return train(
        job.config,
        policy=job.load_policy(),
        dataset=job.dataset(),
        reliability=job.reliability(),
        folder=job.output,
        code_version=code_version(),
        processes=processes,
    )


if __name__ == "__main__":
    sys.exit(launch.main(DpoConfig, start))
