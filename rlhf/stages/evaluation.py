"""Evaluation: the new policy against the old one on held-out tasks. A killed run starts again."""

from __future__ import annotations

from django.conf import settings

from rlhf.execution import Hold
from rlhf.lm.backbones import load_causal
from rlhf.lm.configs import EvaluationConfig
from rlhf.lm.evaluation import evaluate
from rlhf.models import Evaluation
from rlhf.stage_configs import load
from rlhf.stages.freezing import frozen
from rlhf.stages.loading import needed, policy_of, reward_of


def execute(hold: Hold) -> None:
    """Judge both, and keep the result with the end of the run."""
    run = hold.run
    dataset = frozen(hold)
    hold.say("Loading the models", step=0)
    records = evaluate(
        load(EvaluationConfig, run.config),
        old=policy_of(needed(run.old_policy)),
        new=policy_of(needed(run.policy)),
        executor=load_causal(settings.EXECUTOR, settings.MODELS_DIR),
        tasks=[task for task in dataset.tasks.values() if task.held_out],
        score=reward_of(run.reward).score if run.reward else None,
    )
    result = hold.record_all(records, lambda record: f"Wrote and judged {record.step} of {record.total}")
    with hold.finishing():
        Evaluation.objects.create(
            run=run, old=needed(run.old_policy), new=needed(run.policy), result=result.to_json()
        )
