"""Evaluation: the new policy against the old one on held-out prompts. Short: a killed run starts again."""

from __future__ import annotations

from django.conf import settings

from rlhf.execution import Hold, plain
from rlhf.lm.backbones import load_causal
from rlhf.lm.configs import EvaluationConfig
from rlhf.lm.evaluation import EvaluationResult, evaluate
from rlhf.models import Evaluation
from rlhf.snapshots import task_of
from rlhf.stage_configs import load
from rlhf.stages.loading import needed, policy_of, reward_of


def execute(hold: Hold) -> None:
    """Evaluate and keep the result."""
    run = hold.run
    config = load(EvaluationConfig, run.config)
    tasks = [task_of(prompt) for prompt in run.project.prompts.held_out().order_by("pk")]
    hold.say("Loading the models", step=0)
    old, new = needed(run.old_policy), needed(run.policy)
    records = evaluate(
        config,
        old=policy_of(old),
        new=policy_of(new),
        executor=load_causal(settings.EXECUTOR, settings.MODELS_DIR),
        tasks=tasks,
        score=reward_of(run.reward).score if run.reward else None,
    )
    result: EvaluationResult
    while True:
        try:
            record = next(records)
        except StopIteration as end:
            result = end.value
            break
        hold.record(record, message=f"Judged {record.step} of {record.total} instructions")
    with hold.finishing():
        Evaluation.objects.update_or_create(
            run=run, defaults={"old": old, "new": new, "result": plain(result.to_json())}
        )
