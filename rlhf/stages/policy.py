"""Policy training: a policy gradient against a reward model. Its state lies in the run's folder."""

from __future__ import annotations

from rlhf.execution import Hold
from rlhf.lm import policy_gradient
from rlhf.lm.configs import PolicyConfig
from rlhf.lm.data import Record
from rlhf.models import Checkpoint
from rlhf.stage_configs import load
from rlhf.stages.freezing import frozen
from rlhf.stages.loading import needed, policy_of, reward_of
from rlhf.versions import code_version


def execute(hold: Hold) -> None:
    """Store each step; at the end the adapters become a checkpoint."""
    run = hold.run
    config = load(PolicyConfig, run.config)
    dataset = frozen(hold)
    hold.say("Loading the models", total=config.steps)
    parent = needed(run.policy)
    reward = reward_of(needed(run.reward))
    last = Record(0, config.steps, {})
    for last in policy_gradient.train(
        config,
        policy=policy_of(parent),
        tasks=[task for task in dataset.tasks.values() if not task.held_out],
        score=reward.score,
        folder=hold.folder,
        code_version=code_version(),
    ):
        if last.step >= run.step:  # a resumed run is given its earlier records again
            hold.record(last, message=message(last))
    with hold.finishing(last.note):
        Checkpoint.objects.create(
            project=run.project,
            kind=Checkpoint.Kind.POLICY,
            name=f"{config.algorithm} {run.pk}",
            base_model=parent.base_model,
            folder=f"{run.folder}/{policy_gradient.CHECKPOINT}",
            parent=parent,
            snapshot=run.snapshot,
            run=run,
            iteration=run.iteration,
            config=run.config,
            seed=config.seed,
            code_version=code_version(),
            metrics={name: last.values[name] for name in ("reward", "kl", "length") if name in last.values},
        )


def message(record: Record) -> str:
    """What the page says of a step."""
    reward, kl = record.values["reward"], record.values["kl"]
    return f"Step {record.step} of {record.total}: reward {reward:.2f}, KL {kl:.2f}"
