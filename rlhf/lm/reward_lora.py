"""Trains a reward model's backbone on judged rankings. One file, to be read from top to bottom.

Every completion of a comparison is encoded once and gives all its pairs (InstructGPT, Ouyang et al. 2022,
§3.5). The loss is that of the heads on frozen features. Left out: an ensemble; the heads have one.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import math
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.nn.functional import logsigmoid

from rlhf.lm import launch
from rlhf.lm.configs import LoraRewardConfig
from rlhf.lm.data import Dataset, Record
from rlhf.lm.features import Item
from rlhf.lm.jobs import Job
from rlhf.lm.metrics import less_group_means, pair_credits
from rlhf.lm.pairs import Pair, judged_pairs
from rlhf.lm.processes import ALONE, Processes
from rlhf.lm.reward_backbone import RewardBackbone
from rlhf.lm.reward_heads import RELIABILITY_PRIOR, fit_temperature
from rlhf.lm.reward_loss import vote_log_likelihood
from rlhf.lm.training_state import (
    load_state,
    optimizer_tensors,
    record_from_json,
    record_to_json,
    restore_optimizer,
    save_state,
    under_prefix,
    with_prefix,
)
from rlhf.versions import code_version

CHECKPOINT = "reward"  # the folder of the result, inside the run's
SURE = 60.0  # log-odds of an annotator who is taken at their word


@dataclass(frozen=True)
class Comparison:
    """Completions that were compared, and what all annotators said of them, as places in `items`."""

    items: tuple[Item, ...]
    first: tuple[int, ...]
    second: tuple[int, ...]
    outcomes: tuple[float, ...]
    annotators: tuple[int, ...]
    strengths: tuple[int, ...]  # 1 slightly to 3 much, 0 not said
    weights: tuple[float, ...]


def train(
    config: LoraRewardConfig,
    *,
    dataset: Dataset,
    backbone: RewardBackbone,
    folder: Path | None = None,
    code_version: str = "",
    processes: Processes = ALONE,
) -> Iterator[Record]:
    """Train a fresh backbone on the tasks that are not held out; yield one record a step, then one more.

    With a folder each state is saved there before its record is given, and `folder/reward` is left; a run
    that finds a state gives its records again and goes on from there. Without one all stays in memory. The
    last record has the accuracy on held-out tasks. Raises ValueError, ResumeMismatch, FloatingPointError.
    """
    # 1. Comparisons: the rankings of the same completions belong together.
    people = {name: n for n, name in enumerate(sorted({j.annotator for j in dataset.judgments}))}
    train_pairs = judged_pairs(dataset.judgments_on(held_out=False))
    comparisons = comparisons_of(dataset, people, held_out=False)
    if not comparisons or all(pair.outcome == 0.5 for pair in train_pairs):
        raise ValueError("no ranking of a training task prefers one completion to another: nothing to learn")
    items = list(dict.fromkeys(item for comparison in comparisons for item in comparison.items))
    total = config.epochs * math.ceil(len(comparisons) / config.comparisons_per_step)

    # 2. What is learned: the backbone, the head, and how often each annotator says what they mean.
    a, b = RELIABILITY_PRIOR
    reliability = torch.full(
        (len(people),), math.log((a - 1) / (b - 1)) if config.learn_reliability else SURE
    )
    reliability.requires_grad_(config.learn_reliability)
    head = backbone.head.weight
    body = [p for name, p in backbone.trained().items() if name != "head.weight"]
    rates = [
        config.learning_rate,
        config.head_learning_rate or config.learning_rate,
        config.reliability_learning_rate,
    ]
    groups = [body, [head], [reliability] if config.learn_reliability else []]
    optimizer = torch.optim.AdamW(
        [{"params": group, "lr": rate} for group, rate in zip(groups, rates, strict=True) if group],
        weight_decay=0.0,
    )

    # 3. Go on from the saved step, or begin with a head that fits what the backbone gives as it is.
    run = identity(config, backbone, comparisons)
    state = processes.once(lambda: load_state(folder, identity=run) if folder else None)
    records: list[Record] = []
    if state:
        backbone.restore(under_prefix("model", state.tensors))
        restore_optimizer(optimizer, under_prefix("optimizer", state.tensors))
        reliability.data.copy_(state.tensors["reliability"])
        records = [record_from_json(row) for row in state.facts["records"]]
        yield from records
    elif config.probe_l2:
        probe(backbone, items, comparisons, l2=config.probe_l2)

    for step in range(len(records), total):
        # 4. Losses of a batch of comparisons, as many at once as memory should hold.
        started = time.perf_counter()
        batch = batch_of(comparisons, step, config)
        share = 1 / sum(sum(comparison.weights) for comparison in batch)
        optimizer.zero_grad()
        learned = processes.over(batch, partial(learn, backbone, reliability, config, share))
        losses = [loss for loss, _ in learned]
        right = [hit for _, hits in learned for hit in hits]
        parameters = [*body, head]
        processes.sum_gradients([*parameters, *([reliability] if config.learn_reliability else [])])
        if config.learn_reliability:
            trust = (a - 1) * logsigmoid(reliability) + (b - 1) * logsigmoid(-reliability)
            prior = -trust.sum() / sum(pair.weight for pair in train_pairs)
            prior.backward()  # type: ignore[no-untyped-call]

        # 5. One update. The rate rises, then falls in a straight line.
        grad_norm = float(torch.nn.utils.clip_grad_norm_(parameters, config.max_grad_norm))
        if not math.isfinite(grad_norm):
            raise FloatingPointError(f"step {step}: the gradient is {grad_norm}; lower learning_rate")
        used = [rate for group, rate in zip(groups, rates, strict=True) if group]
        for settings, rate in zip(optimizer.param_groups, used, strict=True):
            settings["lr"] = rate * schedule(step, total, config.warmup_steps)
        optimizer.step()

        # 6. The record, and the state from which a killed run goes on.
        seconds = time.perf_counter() - started
        values = {
            "loss": sum(losses),
            "accuracy_train": float(np.mean(right)) if right else math.nan,
            "grad_norm": grad_norm,
            "comparisons_per_s": len(batch) / seconds,
            "seconds": seconds,
        }
        records.append(Record(step, total, values))
        if folder and (step % config.save_every == 0 or step == total - 1):
            save = partial(
                save_state,
                folder,
                step=step,
                tensors=with_prefix("model", backbone.state())
                | with_prefix("optimizer", optimizer_tensors(optimizer))
                | {"reliability": reliability.detach().clone()},
                facts={"identity": run, "records": [record_to_json(record) for record in records]},
            )
            processes.once(save)
        yield records[-1]

    # 7. Units of the score, probabilities, and how right it is where it was not trained.
    if config.standardise:
        standardise(backbone, items)
    held_out = comparisons_of(dataset, people, held_out=True)
    margins, outcomes = margins_of(backbone, held_out or comparisons)
    backbone.temperature = fit_temperature(margins, outcomes)
    values = {"temperature": backbone.temperature}
    if held_out and (outcomes != 0.5).any():
        decided = outcomes != 0.5
        values["accuracy_held_out"] = float(pair_credits(margins[decided], outcomes[decided]).mean())
    if folder:
        reliable = dict(zip(people, reliability.detach().sigmoid().tolist(), strict=True))
        fields = {"reliability": reliable, "values": values, "code_version": code_version}
        processes.once(partial(backbone.save, folder / CHECKPOINT, **fields))
    yield Record(total, total, values)


def comparisons_of(dataset: Dataset, people: dict[str, int], *, held_out: bool) -> list[Comparison]:
    """The judgments of those tasks, put together where the same completions of a task were compared."""
    found: dict[tuple[str, tuple[str, ...]], list[Pair]] = {}
    for judgment in dataset.judgments_on(held_out=held_out):
        pairs = judged_pairs([judgment])
        texts = tuple(sorted({text for pair in pairs for text in (pair.first, pair.second)}))
        found.setdefault((judgment.task_id, texts), []).extend(pairs)
    comparisons = []
    for (task_id, texts), pairs in found.items():
        place = {text: n for n, text in enumerate(texts)}
        if pairs:
            comparisons.append(
                Comparison(
                    items=tuple((dataset.tasks[task_id], text) for text in texts),
                    first=tuple(place[pair.first] for pair in pairs),
                    second=tuple(place[pair.second] for pair in pairs),
                    outcomes=tuple(pair.outcome for pair in pairs),
                    annotators=tuple(people[pair.annotator] for pair in pairs),
                    strengths=tuple(pair.strength or 0 for pair in pairs),
                    weights=tuple(pair.weight for pair in pairs),
                )
            )
    return comparisons


def batch_of(comparisons: Sequence[Comparison], step: int, config: LoraRewardConfig) -> list[Comparison]:
    """The comparisons of a step, in an order that is new in each epoch. Follows from seed and step alone."""
    size = config.comparisons_per_step
    epoch, at = divmod(step, math.ceil(len(comparisons) / size))
    order = np.random.default_rng([config.seed, epoch]).permutation(len(comparisons))
    return [comparisons[n] for n in order[at * size : (at + 1) * size]]


def chunks(
    batch: Sequence[Comparison], backbone: RewardBackbone, config: LoraRewardConfig
) -> Iterator[list[Comparison]]:
    """The batch in parts whose activations fit into memory; a comparison stays whole."""
    part: list[Comparison] = []
    tokens = 0
    for comparison in batch:
        own = sum(len(row.ids) for row in backbone.rows(comparison.items))
        if part and tokens + own > config.chunk_tokens:
            yield part
            part, tokens = [], 0
        part.append(comparison)
        tokens += own
    yield part


def learn(
    backbone: RewardBackbone,
    reliability: torch.Tensor,
    config: LoraRewardConfig,
    share: float,
    batch: Sequence[Comparison],
) -> Iterator[tuple[float, list[float]]]:
    """Add the gradient of some of a step's comparisons; give each chunk's loss and what it got right."""
    for chunk in chunks(batch, backbone, config):
        loss, hits = chunk_loss(backbone, chunk, reliability, config, share=share)
        loss.backward()  # type: ignore[no-untyped-call]
        yield float(loss.detach()), hits


def chunk_loss(
    backbone: RewardBackbone,
    chunk: Sequence[Comparison],
    reliability: torch.Tensor,
    config: LoraRewardConfig,
    *,
    share: float,
) -> tuple[torch.Tensor, list[float]]:
    """Summed loss of the chunk's pairs times `share`, and for each decided pair whether it was right."""
    scores = backbone.forward([c.items for c in chunk], keep=bool(config.top_layers))  # (N,)
    first, second = sides(chunk)
    outcomes = torch.tensor([o for c in chunk for o in c.outcomes], device=scores.device)
    who = torch.tensor([a for c in chunk for a in c.annotators])
    margins = scores[first] - scores[second]
    weights = torch.tensor([w for c in chunk for w in c.weights], device=scores.device)
    lift = config.strength_margin * torch.tensor(
        [float(s) for c in chunk for s in c.strengths], device=scores.device
    )
    votes = vote_log_likelihood(margins, reliability[who].to(scores.device), outcomes, lift=lift)
    loss = -(weights * votes).sum() * share
    if config.centring:
        loss = loss + config.centring * scores.square().mean() * weights.sum() * share
    right = ((margins > 0) == (outcomes > 0.5))[outcomes != 0.5]
    return loss, right.float().tolist()


def sides(comparisons: Sequence[Comparison]) -> tuple[list[int], list[int]]:
    """Of all pairs, the places of both completions among the comparisons' items, one after the other."""
    start = np.cumsum([0, *(len(c.items) for c in comparisons)]).tolist()
    first = [start[n] + i for n, c in enumerate(comparisons) for i in c.first]
    second = [start[n] + i for n, c in enumerate(comparisons) for i in c.second]
    return first, second


def schedule(step: int, total: int, warmup: int) -> float:
    """The part of the learning rate that is used: it rises over `warmup` steps, then falls to zero."""
    if step < warmup:
        return (step + 1) / (warmup + 1)
    return (total - step) / max(1, total - warmup)


def probe(
    backbone: RewardBackbone, items: Sequence[Item], comparisons: Sequence[Comparison], *, l2: float
) -> None:
    """Standardise what the head reads, and fit the head to the votes before the backbone changes."""
    x = backbone.pooled(items, keep=bool(backbone.config.top_layers)).double()  # (C, D)
    centre, scale = x.mean(0), x.std(0)
    scale = torch.where(scale > 1e-6, scale, torch.ones_like(scale))
    row = {item: n for n, item in enumerate(items)}
    sides = [
        (row[c.items[i]], row[c.items[j]], outcome)
        for c in comparisons
        for i, j, outcome in zip(c.first, c.second, c.outcomes, strict=True)
    ]
    first, second, outcomes = (torch.tensor(column) for column in zip(*sides, strict=True))
    differences = (x[first] - x[second]) / scale  # (P, D)
    a, b = RELIABILITY_PRIOR
    trust = torch.tensor(math.log((a - 1) / (b - 1)), dtype=torch.double)
    weight = torch.zeros(x.shape[1], dtype=torch.double, requires_grad=True)
    optimizer = torch.optim.LBFGS([weight], max_iter=60, line_search_fn="strong_wolfe")

    def loss() -> torch.Tensor:
        optimizer.zero_grad()
        value = l2 / 2 * weight.square().sum()
        value = value - vote_log_likelihood(differences @ weight, trust, outcomes.double()).sum()
        value.backward()  # type: ignore[no-untyped-call]
        return value

    optimizer.step(loss)  # type: ignore[no-untyped-call]
    with torch.no_grad():
        backbone.head.weight.copy_(weight)
        backbone.head.centre.copy_(centre)
        backbone.head.scale.copy_(scale)


@torch.no_grad()
def standardise(backbone: RewardBackbone, items: Sequence[Item]) -> None:
    """Over the training completions the score's mean becomes 0 and its spread within a task 1."""
    scores = backbone.score(items)
    backbone.head.offset.fill_(float(scores.mean()))
    backbone.head.spread.fill_(float(less_group_means(scores, [task.id for task, _ in items]).std()) or 1.0)


def margins_of(backbone: RewardBackbone, comparisons: Sequence[Comparison]) -> tuple[np.ndarray, np.ndarray]:
    """Score differences and outcomes of all the comparisons' pairs. Shapes: (P,), (P,)."""
    items = [item for c in comparisons for item in c.items]
    scores = backbone.score(items, keep=bool(backbone.config.top_layers))
    first, second = sides(comparisons)
    return scores[first] - scores[second], np.array([o for c in comparisons for o in c.outcomes])


def identity(
    config: LoraRewardConfig, backbone: RewardBackbone, comparisons: Sequence[Comparison]
) -> dict[str, Any]:
    """What must be the same for a run to go on: config, model, chat template, judgments."""
    words = json.dumps([dataclasses.asdict(comparison) for comparison in comparisons], sort_keys=True)
    return {
        "config": dataclasses.asdict(config),
        **backbone.identity,
        "comparisons_hash": hashlib.sha256(words.encode()).hexdigest(),
    }


def start(job: Job, processes: Processes) -> Iterator[Record]:
    """Train as a file says: `accelerate launch -m rlhf.lm.reward_lora --config run.json`."""
    return train(
        job.config,
        dataset=job.dataset(),
        backbone=RewardBackbone.fresh(job.config, job.models),
        folder=job.output,
        code_version=code_version(),
        processes=processes,
    )


if __name__ == "__main__":
    sys.exit(launch.main(LoraRewardConfig, start))
