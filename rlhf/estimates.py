"""How long a run will take: at the pace of the latest runs like it on this site, else by a rule of thumb.

A run's work is counted in units of its kind (tokens that may be written, texts that are read); a pace is
seconds a unit. What is known of earlier runs is when each of their records came, pauses left out.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise
from typing import Any

from annotator.models import Completion, Project
from rlhf import runs
from rlhf.lm.configs import SFT
from rlhf.lm.over_optimisation import COMPLETIONS, TASKS, is_due
from rlhf.models import Checkpoint, Evaluation, Run
from rlhf.progress import PAUSE_SECONDS

LATEST = 3
"""So many earlier runs are measured, and the middle one counts."""
LOADING_SECONDS = 10.0
"""To start and load the models, where only the rule of thumb is known."""
POLICY_GRADIENT, OFFLINE = "policy_gradient", "offline"
RULES: dict[str, float] = {
    Run.Kind.GENERATION: 90 / (608 * 48),
    Run.Kind.SCORING: 98 / (608 * 6),
    Run.Kind.REWARD: 124 / 608,
    Run.Kind.EVALUATION: 206 / (2 * 42 * 4 * 48),
    POLICY_GRADIENT: 22.5 / (8 * 6 * 40),
    OFFLINE: 8.2 / 8,
}
"""Seconds a unit with the embedded model on two free cores (docs/LOG.md, 2026-11-23: "the whole loop on two
free cores"; of DPO and SFT the update in "what a step of RLOO costs"; of reward models 2026-11-27,
"`make loop` with the new learning rate")."""

Config = Mapping[str, Any]


@dataclass(frozen=True)
class Estimate:
    seconds: float
    measured: tuple[Run, ...]
    """The runs whose pace it is; none where it is the rule of thumb."""


def estimate(project: Project, kind: str, config: Config) -> Estimate | None:
    """For a run that would be started now with this whole config. None where nothing would be done."""
    units = _units(kind, config, _count_now(project, kind, config))
    if not units:
        return None
    base = runs.promoted_policy(project).base_model
    paces = [(run, pace) for run in _like(kind, config, base) if (pace := pace_of(run))]
    if paces:
        middle = statistics.median(pace for _run, pace in paces)
        return Estimate(units * middle, tuple(run for run, _pace in paces))
    rule = RULES.get(_family(kind, config))
    return None if rule is None else Estimate(LOADING_SECONDS + units * rule, ())


def pace_of(run: Run) -> float | None:
    """Seconds a unit that a finished run took, its loading included."""
    units = _units(run.kind, run.config, _count_then(run))
    times = [run.started_at, *run.records.values_list("created_at", flat=True), run.finished_at]
    busy = busy_seconds([time for time in times if time is not None])
    return busy / units if units and busy else None


def busy_seconds(times: Sequence[datetime]) -> float:
    """Between the first and the last of these, less gaps so long that the run lay in the queue."""
    gaps = ((later - earlier).total_seconds() for earlier, later in pairwise(sorted(times)))
    return sum(gap for gap in gaps if gap < PAUSE_SECONDS)


def _like(kind: str, config: Config, base_model: str) -> list[Run]:
    """The latest finished runs of the kind on this site; of policies those with the algorithm."""
    found = Run.objects.filter(kind=kind, state=Run.State.DONE, attempts=1).select_related("project")
    if kind == Run.Kind.POLICY:
        found = found.filter(config__algorithm=config["algorithm"])
    if kind != Run.Kind.SCORING:  # the executor is the site's, not the project's
        found = found.filter(policy__base_model=base_model)
    return list(found.order_by("-pk")[:LATEST])


def _family(kind: str, config: Config) -> str:
    """By which rule of thumb; of another algorithm than these only a finished run can tell."""
    if kind != Run.Kind.POLICY:
        return kind
    if "completions_per_prompt" in config:
        return POLICY_GRADIENT
    return OFFLINE if "groups_per_step" in config else ""


def _units(kind: str, config: Config, count: int) -> float:
    """How much there is to do; `count` is of tasks, texts or steps: whatever the kind goes through."""
    if kind == Run.Kind.GENERATION:
        written = config["completions_per_task"] * config.get(
            "best_of", 1
        )  # runs of earlier have no such field
        return float(count * written * config["max_new_tokens"])
    if kind == Run.Kind.SCORING:
        return float(count * config["gold_examples"])
    if kind == Run.Kind.EVALUATION:
        return float(2 * count * config["completions_per_task"] * config["max_new_tokens"])
    if kind == Run.Kind.POLICY and "completions_per_prompt" in config:
        written = config["prompts_per_step"] * config["completions_per_prompt"] * config["max_new_tokens"]
        # A third of a step is writing; each further update on the same texts costs the other two again.
        learned: float = count * written * (1 + 2 * config.get("epochs", 1)) / 3
        return learned + _gold_units(config, POLICY_GRADIENT, steps=count)
    if _family(kind, config) == OFFLINE:
        return count + _gold_units(config, OFFLINE, steps=math.ceil(count / config["groups_per_step"]))
    return float(count)


def _gold_units(config: Config, family: str, *, steps: int) -> float:
    """What measuring gold along a run adds, in its units: each time as long as evaluating as many texts."""
    every = config.get("gold_every", 0)
    if not every or not steps:
        return 0.0
    times = sum(is_due(step, every=every, last=step == steps - 1) for step in range(steps))
    written = times * TASKS * COMPLETIONS * config["max_new_tokens"]
    return float(written * RULES[Run.Kind.EVALUATION] / RULES[family])


def _count_now(project: Project, kind: str, config: Config) -> int:
    if kind == Run.Kind.GENERATION:
        tasks = project.prompts.count()
        return min(tasks, config.get("tasks") or tasks)
    if kind == Run.Kind.SCORING:
        return runs.unscored(project).count()
    if kind == Run.Kind.REWARD:
        return Completion.objects.filter(prompt__project=project).count()
    if kind == Run.Kind.EVALUATION:
        return project.prompts.held_out().count()
    return _policy_count(project, config, steps=config.get("steps", 0))


def _count_then(run: Run) -> int:
    """Of what the run has really done: one that a guard stopped has done less than it was to."""
    if run.kind in (Run.Kind.GENERATION, Run.Kind.SCORING):
        return run.step
    if run.kind == Run.Kind.REWARD:
        checkpoint = Checkpoint.objects.filter(run=run).first()
        return checkpoint.scores.count() if checkpoint else 0
    if run.kind == Run.Kind.EVALUATION:
        evaluation = Evaluation.objects.filter(run=run).first()
        return len(evaluation.result.get("tasks", [])) if evaluation else 0
    if _family(run.kind, run.config) == OFFLINE:
        return (run.step + 1) * int(run.config["groups_per_step"])
    return _policy_count(run.project, run.config, steps=run.step)


def _policy_count(project: Project, config: Config, *, steps: int) -> int:
    """Steps of a policy gradient, tasks times epochs of DPO and SFT; of what else there may be the tasks."""
    family = _family(Run.Kind.POLICY, config)
    if family == POLICY_GRADIENT:
        return steps + 1
    if family == OFFLINE:
        return int(config["epochs"]) * _groups(project, config)
    return project.prompts.for_training().count()


def _groups(project: Project, config: Config) -> int:
    """Tasks that an offline algorithm learns from: with rankings, or for SFT with an instruction."""
    training = project.prompts.for_training()
    ranked = set(
        runs.rankings(project)
        .filter(comparison__prompt__is_held_out=False)
        .values_list("comparison__prompt", flat=True)
    )
    if config.get("algorithm") == SFT:
        ranked |= set(training.exclude(reference="").values_list("pk", flat=True))
    return len(ranked)
