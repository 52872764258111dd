"""The Celery tasks of the model side. Stages, and torch with them, are imported when one is run."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module

from celery import shared_task

from rlhf import execution, live, runs
from rlhf.models import Run


@shared_task(name="rlhf.tasks.execute_run")
def execute_run(run_id: int) -> None:
    """Carry a run out. Sent twice, or to two workers, it is carried out once."""
    execution.execute(run_id, stage_of)


@shared_task(name="rlhf.tasks.sweep_runs")
def sweep_runs() -> None:
    """Give the runs of dead workers back to the queue; send what waits."""
    execution.requeue_stale()
    runs.send_waiting()


@shared_task(name="rlhf.tasks.sweep_refits")
def sweep_refits() -> None:
    """Count the new rankings; send the projects whose reward heads are due."""
    live.sweep()


@shared_task(name="rlhf.tasks.refit_heads")
def refit_heads(project_id: int) -> None:
    """Refit a project's reward heads, if they are due. Sent twice, or to two workers, it is done once."""
    refit: Callable[[int], bool] = import_module("rlhf.refitting").refit
    refit(project_id)


@shared_task(name="rlhf.tasks.answer_scores")
def answer_scores() -> None:
    """Answer the requests for scores that wait. Sent twice, the second finds none."""
    answer: Callable[[], int] = import_module("rlhf.scoring.answering").answer_all
    answer()


def stage_of(kind: str) -> execution.Stage:
    """The function that carries out runs of a kind."""
    if kind not in Run.Kind.values:
        raise ValueError(f"there is no stage {kind!r}")
    stage: execution.Stage = import_module(f"rlhf.stages.{kind}").execute
    return stage
