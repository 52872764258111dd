"""Policy training, by whichever algorithm the run names. Its state lies in the run's folder."""

from __future__ import annotations

from collections.abc import Iterator

from rlhf.execution import Hold
from rlhf.lm import dpo, policy_gradient, q_learning, sft
from rlhf.lm.backbones import CausalLM
from rlhf.lm.checkpoints import POLICY_FOLDER
from rlhf.lm.configs import POLICY_CONFIGS, IlqlConfig, OfflineConfig, PolicyConfig, SftConfig
from rlhf.lm.data import Dataset, Record
from rlhf.lm.gold_along import Judge, judge_on
from rlhf.lm.reward_model import RewardModel
from rlhf.models import Checkpoint, Run
from rlhf.stage_configs import load
from rlhf.stages.freezing import frozen
from rlhf.stages.loading import frozen_executor, needed, policy_of, reward_of
from rlhf.versions import code_version

KEPT = ("reward", "kl", "length", "loss", "margin", "chosen", "beta")
"""What of the last record is kept with the checkpoint, as far as the algorithm gives it."""


def execute(hold: Hold) -> None:
    """Store each step; at the end the adapters become a checkpoint."""
    run = hold.run
    dataset = frozen(hold)
    hold.say("Loading the models", total=run.total)
    parent = needed(run.policy)
    last = Record(0, run.total, {})
    for last in records_of(run, policy_of(parent), dataset, hold):
        if last.step >= run.step:  # a resumed run is given its earlier records again
            hold.record(last, message=message(last))
    with hold.finishing(last.note):
        Checkpoint.objects.create(
            project=run.project,
            kind=Checkpoint.Kind.POLICY,
            name=f"{run.config['algorithm']} {run.pk}",
            base_model=parent.base_model,
            folder=f"{run.folder}/{POLICY_FOLDER}",
            parent=parent,
            snapshot=run.snapshot,
            run=run,
            iteration=run.iteration,
            config=run.config,
            seed=run.config["seed"],
            code_version=code_version(),
            metrics={name: last.values[name] for name in KEPT if name in last.values},
        )


def records_of(run: Run, policy: CausalLM, dataset: Dataset, hold: Hold) -> Iterator[Record]:
    """What the run's algorithm yields."""
    config = load(POLICY_CONFIGS[run.config["algorithm"]], run.config)
    folder, version = hold.folder, code_version()
    if isinstance(config, PolicyConfig):
        reward = reward_of(needed(run.reward))
        return policy_gradient.train(
            config,
            policy=policy,
            tasks=[task for task in dataset.tasks.values() if not task.held_out],
            score=reward.score,
            folder=folder,
            judge=judge_of(config, dataset, reward),
            code_version=version,
        )
    if isinstance(config, IlqlConfig):
        return q_learning.train(
            config,
            policy=policy,
            dataset=dataset,
            score=reward_of(needed(run.reward)).score if config.rewards == "model" else None,
            folder=folder,
            executor=frozen_executor(),
            code_version=version,
        )
    judge = judge_of(config, dataset, reward_of(run.reward) if run.reward and config.gold_every else None)
    if isinstance(config, SftConfig):
        return sft.train(
            config, policy=policy, dataset=dataset, folder=folder, judge=judge, code_version=version
        )
    known = run.reward.metrics.get("annotators", []) if run.reward else []
    return dpo.train(
        config,
        policy=policy,
        dataset=dataset,
        reliability={row["annotator"]: row["value"] for row in known},
        folder=folder,
        judge=judge,
        code_version=version,
    )


def judge_of(
    config: PolicyConfig | OfflineConfig, dataset: Dataset, reward: RewardModel | None
) -> Judge | None:
    """What measures gold along the run; None where that is not asked for, or no held-out task can judge."""
    tasks = [task for task in dataset.tasks.values() if task.held_out and task.held_out_examples]
    if not config.gold_every or not tasks:
        return None
    return judge_on(
        tasks,
        executor=frozen_executor(),
        score=reward.score if reward else None,
        max_new_tokens=config.max_new_tokens,
    )


def message(record: Record) -> str:
    """What the page says of a step."""
    values = record.values
    said = f"Step {record.step} of {record.total}: "
    if "reward" in values:
        return said + f"reward {values['reward']:.2f}, KL {values['kl']:.2f}"
    if "data_reward" in values:
        return said + f"{values['texts']:.0f} texts, reward {values['data_reward']:.2f}"
    if "loss" in values:
        return said + f"loss {values['loss']:.3f}"
    return said + f"KL {values['kl']:.2f}"
