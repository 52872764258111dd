"""ILQL: token-level Q-learning on texts that were rated once; the policy itself stays as it is.

Implicit language Q-learning (Snell et al. 2022, arXiv 2206.11871). State = prompt and tokens so far, action =
the next token, reward with the last one. What is learned are Q and V heads on the policy's last hidden
states, which are computed once; they then change its decoding (q_heads.py). Left out: learning π_β too.
"""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from rlhf.lm.backbones import CausalLM
from rlhf.lm.checkpoints import POLICY_FOLDER, save_q_policy
from rlhf.lm.configs import IlqlConfig
from rlhf.lm.data import Dataset, Record, Task
from rlhf.lm.evaluation import Score
from rlhf.lm.guards import limit_passed
from rlhf.lm.over_optimisation import GOLD, measurements
from rlhf.lm.policy_samples import beside, write
from rlhf.lm.q_data import Ranked, RatedText, Trajectories, collect, encode, ranked_texts, rewards_of
from rlhf.lm.q_heads import QHeads, perturb, refuse_q_heads, restore
from rlhf.lm.q_progress import Progress
from rlhf.lm.q_trials import betas, measure
from rlhf.lm.q_updates import fit, one_epoch
from rlhf.lm.training_state import hash_of, run_identity, spread

TASKS_A_CHUNK = 16  # whose texts are sampled and rated between two records


def train(
    config: IlqlConfig,
    *,
    policy: CausalLM,
    dataset: Dataset,
    score: Score | None,
    folder: Path,
    executor: CausalLM | None = None,
    code_version: str = "",
) -> Iterator[Record]:
    """Train; yield a record for each chunk of tasks whose texts are rated, each epoch, each β tried or kept.

    All are saved in `folder`; where that holds a state, its records are given again and the run goes on.
    Leaves `folder/policy`. `score` None takes the rankings themselves for rewards. With an `executor`
    (another model than the policy) β is chosen by gold, as far as tasks left aside have held-out examples.
    Raises ValueError (nothing to learn from), ResumeMismatch, DiskFull, FloatingPointError.
    """
    refuse_q_heads(policy, "train")
    ranked = ranked_texts(dataset)
    tasks = tasks_of(dataset, ranked, score)
    aside = spread(tasks, min(config.check_tasks, len(tasks) // 4))  # not learned from
    chunks = [tasks[i : i + TASKS_A_CHUNK] for i in range(0, len(tasks), TASKS_A_CHUNK)]
    tried = betas(config)
    first_trial = len(chunks) + config.epochs

    # 1. New heads, or those of the saved step.
    embedding = policy.model.get_output_embeddings().weight.detach()
    heads = QHeads(embedding, width=config.width, seed=config.seed)
    parameters = [parameter for parameter in heads.parameters() if parameter.requires_grad]
    optimizer = torch.optim.AdamW(parameters, lr=config.learning_rate, weight_decay=config.weight_decay)
    run = Progress(folder, identity(config, policy, tasks, ranked), total=first_trial + len(tried))
    run.restore(heads, optimizer)
    yield from run.records

    # 2. Texts and their rewards.
    for chunk in chunks[len(run.records) :]:
        started = time.perf_counter()
        found = collect(config, policy, chunk, ranked, score)
        run.texts += found
        yield run.keep(data_figures(found, config, started), heads, optimizer)

    # 3. Epochs over the texts. The states stay the same, since the policy is frozen.
    if len(run.records) < first_trial:
        learned, checked = trajectories(config, policy, tasks, aside, run.texts)
        for epoch in range(len(run.records) - len(chunks), config.epochs):
            started = time.perf_counter()
            values = one_epoch(config, heads, optimizer, embedding, learned, epoch)
            values["fit_train"] = fit(config, heads, embedding, learned)
            if checked is not None:
                values["fit_held_out"] = fit(config, heads, embedding, checked)
            run.weigh(heads, values.get("fit_held_out"))
            values["seconds"] = time.perf_counter() - started
            save = epoch == config.epochs - 1 or epoch % config.save_every == 0
            yield run.keep(values, heads, optimizer, save=save)

    # 4. With the heads of the best epoch, one β after the other until a limit is passed.
    final = QHeads(embedding, width=config.width, seed=config.seed).requires_grad_(False)
    final.load_state_dict(run.kept)
    output = perturb(policy.model, final, 0.0)
    try:
        judges = aside or spread(tasks, config.check_tasks)
        shown = spread(judges, config.sample_tasks)
        trials = [record for record in run.records if first_trial <= record.step < run.total]
        for output.beta in tried[len(trials) :]:
            if trials and trials[-1].note:
                break
            started = time.perf_counter()
            values = measure(config, policy, output, judges, score, executor)
            texts = write(policy, shown, max_new_tokens=config.max_new_tokens, seed=config.seed)
            without = [sample.text for sample in trials[0].samples] if trials else texts
            passed = limit_passed(config, values, trials[0].values) if trials else ""
            values["seconds"] = time.perf_counter() - started
            samples = beside(shown, texts, without)
            trials.append(run.keep(values, heads, optimizer, samples=samples, note=passed))
            yield trials[-1]
    finally:
        restore(policy.model)  # the caller's model is again what it was

    # 5. The β that is kept, and the checkpoint.
    best = best_of(trials)
    if run.records[-1].step < run.total:
        note = verdict(best, trials)
        yield run.keep(best.values, heads, optimizer, step=run.total, samples=best.samples, note=note)
    if not (folder / POLICY_FOLDER).exists():
        save_q_policy(
            folder / POLICY_FOLDER,
            policy,
            final,
            best.values["beta"],
            config=dataclasses.asdict(config),
            seed=config.seed,
            steps=run.best_epoch + 1,
            stopped=run.records[-1].note,
            code_version=code_version,
        )


def tasks_of(dataset: Dataset, ranked: Ranked, score: Score | None) -> list[Task]:
    """The training tasks there are texts for. Raises ValueError where there are none."""
    tasks = [task for task in dataset.tasks.values() if not task.held_out]
    if score is None:
        tasks = [task for task in tasks if task.id in ranked]
    if not tasks:
        raise ValueError("there is no text to learn from")
    return tasks


def identity(config: IlqlConfig, policy: CausalLM, tasks: Sequence[Task], ranked: Ranked) -> dict[str, Any]:
    """What must be the same for a run to go on: config, model, chat template, tasks, rankings."""
    rows = [dataclasses.asdict(task) for task in tasks]
    return run_identity(config, policy) | {"data_hash": hash_of([rows, ranked])}


def data_figures(texts: Sequence[RatedText], config: IlqlConfig, started: float) -> dict[str, float]:
    """The numbers of a chunk of rated texts."""
    seconds = time.perf_counter() - started
    tokens = [len(text.token_ids) for text in texts]
    return {
        "texts": len(texts),
        "data_reward": float(np.mean([t.score - config.pessimism * t.score_std for t in texts] or [0.0])),
        "data_length": float(np.mean(tokens or [0])),
        "tokens_per_s": sum(tokens) / seconds,
        "seconds": seconds,
    }


def trajectories(
    config: IlqlConfig,
    policy: CausalLM,
    tasks: Sequence[Task],
    aside: Sequence[Task],
    texts: Sequence[RatedText],
) -> tuple[Trajectories, Trajectories | None]:
    """The texts' states: of the tasks to learn from, and of those left aside."""
    rewards = rewards_of(texts, config.pessimism)
    by_id = {task.id: task for task in tasks}
    left = {task.id for task in aside}
    split = [np.array([(text.task_id in left) == side for text in texts]) for side in (False, True)]
    learned, checked = (
        encode(policy, by_id, [t for t, here in zip(texts, some, strict=True) if here], rewards[some])
        if some.any()
        else None
        for some in split
    )
    if learned is None:
        raise ValueError("there is no text to learn from")
    return learned, checked


def best_of(trials: Sequence[Record]) -> Record:
    """Of the trials within the limits that of the highest reward, without rewards of the largest β.

    Gold has a veto: out is what lies more than a standard error behind the best by gold, paired by task.
    The reward is the steadier measure of the two, and the one that can be gamed.
    """
    within = [trial for trial in trials if not trial.note]
    golds = {m.step: m.gold for m in measurements([(trial.step, trial.values) for trial in within])}
    if golds:
        best = golds[max(within, key=lambda trial: trial.values[GOLD]).step]
        within = [trial for trial in within if is_as_good(golds[trial.step], best)]
    return max(within, key=lambda trial: trial.values.get("reward", trial.values["beta"]))


def is_as_good(one: Mapping[str, float], best: Mapping[str, float]) -> bool:
    """Whether the mean over tasks is at most one standard error of the differences below the best one's."""
    behind = np.array([best[task] - one[task] for task in best])
    spread = behind.std(ddof=1) if len(behind) > 1 else 0.0
    return bool(behind.mean() <= spread / np.sqrt(len(behind)))


def verdict(best: Record, trials: Sequence[Record]) -> str:
    """What to say of the β that is kept."""
    beta = f"β = {best.values['beta']:g} is kept"
    *_, last = trials
    if last.note:
        return f"{beta}; at β = {last.values['beta']:g}, {last.note}"
    if best.values["beta"] == 0:
        return f"{beta}, the policy as it was: with Q it wrote nothing better"
    if best is not last and GOLD in best.values:
        top = max(trials, key=lambda trial: trial.values[GOLD])
        of_last = f"{last.values[GOLD]:.2f} at β = {last.values['beta']:g}"
        return f"{beta}; gold was {of_last}, {top.values[GOLD]:.2f} at β = {top.values['beta']:g}"
    return ""
