"""Evaluation: the new policy against the old one on held-out tasks. A killed run starts again."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence

from django.conf import settings

from rlhf import blind
from rlhf.execution import Hold
from rlhf.lm.backbones import Encoder, UnknownModel, load_encoder
from rlhf.lm.configs import EvaluationConfig
from rlhf.lm.evaluation import evaluate
from rlhf.lm.sampling import SampledCompletion
from rlhf.models import Evaluation, Run, RunSample
from rlhf.stage_configs import load
from rlhf.stages.freezing import frozen
from rlhf.stages.loading import frozen_executor, needed, policy_of, reward_of

log = logging.getLogger(__name__)

ENCODER = "minilm"


def execute(hold: Hold) -> None:
    """Judge both, and keep the result with the end of the run."""
    run = hold.run
    dataset = frozen(hold)
    hold.say("Loading the models", step=0)
    records = evaluate(
        load(EvaluationConfig, run.config),
        old=policy_of(needed(run.old_policy)),
        new=policy_of(needed(run.policy)),
        executor=frozen_executor(),
        tasks=[task for task in dataset.tasks.values() if task.held_out],
        score=reward_of(run.reward).score if run.reward else None,
        encoder=encoder(),
    )
    result = hold.record_all(records, lambda record: f"Wrote and judged {record.step} of {record.total}")
    with hold.finishing():
        evaluation = Evaluation.objects.create(
            run=run, old=needed(run.old_policy), new=needed(run.policy), result=result.to_json()
        )
        RunSample.objects.bulk_create(samples_of(run, result.texts))
        if run.config.get("ask_people"):
            blind.ask(evaluation, tasks=run.config["ask_people"], user=run.created_by)


def encoder() -> Encoder | None:
    """What consistency is measured with; None where its package is not installed."""
    try:
        return load_encoder(ENCODER, settings.MODELS_DIR)
    except UnknownModel as error:
        log.warning("consistency is left out: %s", error)
        return None


def samples_of(run: Run, texts: Mapping[str, Sequence[SampledCompletion]]) -> Iterator[RunSample]:
    """What both wrote, side by side: the first texts of each task as step 1, the second ones as step 2 …"""
    turns: Counter[str] = Counter()
    for old, new in zip(texts["old"], texts["new"], strict=True):
        turns[new.task_id] += 1
        yield RunSample(
            run=run,
            step=turns[new.task_id],
            prompt_id=int(new.task_id),
            text=new.text,
            reference_text=old.text,
            values={"new": origin(new), "old": origin(old)},
        )


def origin(completion: SampledCompletion) -> dict[str, float | bool]:
    """What a completion's `Generation` says of how it was written."""
    return {
        "logprob": completion.logprob,
        "tokens": len(completion.token_ids),
        "finished": completion.finished,
    }
