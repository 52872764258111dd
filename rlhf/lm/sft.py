"""SFT: fine-tunes the generator on good instructions: people's own, edited ones, those put first."""

from __future__ import annotations

import sys
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from pathlib import Path

import torch

from rlhf.lm import launch, offline
from rlhf.lm.backbones import CausalLM
from rlhf.lm.configs import SftConfig
from rlhf.lm.data import Dataset, Record
from rlhf.lm.gold_along import Judge
from rlhf.lm.jobs import Job
from rlhf.lm.offline import Group
from rlhf.lm.processes import ALONE, Processes
from rlhf.versions import code_version


def train(
    config: SftConfig,
    *,
    policy: CausalLM,
    dataset: Dataset,
    folder: Path,
    judge: Judge | None = None,
    code_version: str = "",
    processes: Processes = ALONE,
) -> Iterator[Record]:
    """Train on demonstrations for the tasks that are not held out. See `offline.train`."""
    shown = demonstrations(dataset, written=config.written, ranked=config.ranked)
    groups = [Group(dataset.tasks[task_id], tuple(texts)) for task_id, texts in shown.items()]
    weights = [list(texts.values()) for texts in shown.values()]

    def loss(
        number: int, logprobs: torch.Tensor, ref: torch.Tensor, lengths: torch.Tensor
    ) -> tuple[torch.Tensor, dict[str, float]]:
        return likelihood_loss(logprobs, lengths, weights[number]), {
            "chosen": float((logprobs.detach() - ref).mean())
        }

    return offline.train(
        config,
        policy=policy,
        groups=groups,
        loss=loss,
        facts=weights,
        folder=folder,
        judge=judge,
        code_version=code_version,
        processes=processes,
    )


def demonstrations(dataset: Dataset, *, written: bool, ranked: bool) -> dict[str, dict[str, float]]:
    """For each training task its good instructions and their weights, which add up to 1.

    `written`: the one that came with the task. `ranked`: an annotator's own, else what they put alone in the
    first place, as often as somebody did. Only what beat something counts: not where all were bad or tied.
    """
    found: dict[str, Counter[str]] = defaultdict(Counter)
    if written:
        for task in dataset.tasks.values():
            if task.reference and not task.held_out:
                found[task.id][task.reference] += 1
    if ranked:
        for judgment in dataset.judgments_on(held_out=False):
            best = [t for t, rank in zip(judgment.completions, judgment.ranks, strict=True) if rank == 1]
            if judgment.improved:
                best = [judgment.improved]
            if len(best) == 1 and best[0].strip():
                found[judgment.task_id][best[0]] += 1
    return {task_id: _shares(texts) for task_id, texts in sorted(found.items())}


def likelihood_loss(logprobs: torch.Tensor, lengths: torch.Tensor, weights: list[float]) -> torch.Tensor:
    """Mean negative log-likelihood of a token, texts weighed. Shapes: (G,), (G,) -> ()."""
    share = logprobs.new_tensor(weights)
    return -(share * logprobs).sum() / (share * lengths).sum()


def _shares(texts: Mapping[str, int]) -> dict[str, float]:
    total = sum(texts.values())
    return {text: count / total for text, count in sorted(texts.items())}


def start(job: Job, processes: Processes) -> Iterator[Record]:
    """Train as a file says: `accelerate launch -m rlhf.lm.sft --config run.json`."""
    return train(
        job.config,
        policy=job.load_policy(),
        dataset=job.dataset(),
        folder=job.output,
        code_version=code_version(),
        processes=processes,
    )


if __name__ == "__main__":
    sys.exit(launch.main(SftConfig, start))
