"""Gold scores: the executor judges every completion that has none yet. Resumes with what is missing."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from annotator.models import Completion
from rlhf import runs
from rlhf.execution import Hold
from rlhf.lm.configs import EvaluationConfig
from rlhf.lm.data import Record
from rlhf.lm.gold import GoldScore, gold_scores
from rlhf.models import Score
from rlhf.snapshots import task_of
from rlhf.stage_configs import load
from rlhf.stages.loading import frozen_executor

CHUNK = 32
"""Completions between two stored steps."""


def execute(hold: Hold) -> None:
    """Score chunk by chunk, each stored with its record in one transaction."""
    run = hold.run
    config = load(EvaluationConfig, run.config)
    hold.say("Loading the executor")
    executor = frozen_executor()
    waiting = list(runs.unscored(run.project).order_by("prompt_id", "pk").values_list("pk", flat=True))
    step, total = run.step, run.step + len(waiting)
    judged = left_out = 0
    for start in range(0, len(waiting), CHUNK):
        completions = list(
            Completion.objects.select_related("prompt")
            .filter(pk__in=waiting[start : start + CHUNK])
            .order_by("prompt_id", "pk")
        )
        items = [(task_of(completion.prompt), completion.text) for completion in completions]
        scores = gold_scores(executor, items, config)
        found = [(c, s) for c, s in zip(completions, scores, strict=True) if s is not None]
        judged, left_out = judged + len(found), left_out + len(scores) - len(found)
        step += len(completions)
        with hold.writing(step=step, total=total, message=f"Judged {step} of {total} instructions"):
            store_gold(found)
            if found:
                hold.store(Record(step, total, {"gold": float(np.mean([s.contrast for _, s in found]))}))
    note = (
        f"{left_out} instructions have no gold score: their tasks' outputs are all alike." if left_out else ""
    )
    with hold.finishing(note):
        pass


def store_gold(found: Sequence[tuple[Completion, GoldScore]]) -> None:
    """The gold scores as rows; one that is there already stays."""
    Score.objects.bulk_create(
        [
            Score(
                completion=completion,
                mean=score.contrast,
                details={"log_likelihood": score.log_likelihood, "top": score.top, "leak": score.leak},
            )
            for completion, score in found
        ],
        ignore_conflicts=True,
    )
