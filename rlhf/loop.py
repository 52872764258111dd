"""The whole loop without a browser: import, generate, rank, learn, optimise, evaluate, promote, export.

Works through the same doors as the pages and the commands, with the workers that are running. It reports
what happened, also when nothing improved.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from django.core.files import File
from django.db.models import QuerySet
from django.utils.text import slugify

from annotator import demo
from annotator.exports import writing
from annotator.models import Completion, Domain, Project, PromptImport
from annotator.prompts import importing
from rlhf import promotion, runs, simulation
from rlhf.lm.configs import PolicyConfig
from rlhf.loop_report import report
from rlhf.models import Checkpoint, Evaluation, Run, Score

WAIT_SECONDS = 60.0
BUDGET = {"import": 10, "generate": 160, "gold scores": 120, "rank": 80, "reward model": 90}
"""Seconds that these steps should take on two cores; the policy may take what is left of all."""
MARGIN = 1.2
START_AND_END = 20
"""Seconds for what is before the first step and after the last: processes, promotion, export."""
TEXT_AND_UPDATE = 3.0
"""A rollout costs so many times what a completion cost in generation: it is read and learned from too."""


@dataclass(frozen=True)
class Plan:
    """How large a loop is; the defaults fit into 15 minutes on two cores."""

    completions_per_task: int = 4
    tasks: int | None = None
    annotators: int = 5
    rankings: int = 2000
    noise: float = 0.15
    seed: int = 0
    minutes: float = 15
    """On a slow machine the policy takes fewer steps, so that all of it ends in so many minutes."""
    reward: dict[str, Any] = field(default_factory=dict)
    policy: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Step:
    """What a step is called, how long it took and what came of it."""

    name: str
    seconds: float
    result: str


Follow = Callable[[Run], Run]
Say = Callable[[str], None]


class Loop:
    """One turn of the loop in a project of its own."""

    def __init__(self, plan: Plan, *, follow: Follow, say: Say) -> None:
        self.plan = plan
        self.follow = follow
        self.say = say
        self.steps: list[Step] = []
        self.began = time.monotonic()
        self._result = ""

    def turn(self, export: Path) -> dict[str, Any]:
        """Go round once. Gives the report; the exported preferences are in `export`."""
        with self.step("import"):
            self.project = self.make_project()
            self._result = f"{self.project.prompts.count()} tasks"
        with self.step("generate"):
            self.generate()
        with self.step("gold scores"):
            self.follow(runs.start_scoring(project=self.project))
            self._result = f"{self.scores().count()} scores"
        with self.step("rank"):
            self.rank()
        with self.step("reward model"):
            reward = self.follow(runs.start_reward(project=self.project, config=self.plan.reward)).checkpoint
            self._result = _accuracy(reward)
        with self.step("policy"):
            config = {**self.plan.policy, "steps": self.steps_that_fit()}
            policy = self.follow(runs.start_policy(project=self.project, config=config))
            self._result = f"{policy.step} steps{', ' + policy.note if policy.note else ''}"
        with self.step("evaluate"):
            completions = {"completions_per_task": self.plan.completions_per_task}
            run = self.follow(runs.start_evaluation(project=self.project, config=completions))
            self._result = _gain_in_words(run.evaluation)
        with self.step("promote"):
            self.promote(run.evaluation)
        with self.step("export"):
            manifest = writing.write_file(self.project, format="trl", path=export)
            self._result = f"{manifest.counts['lines']} preferences"
        seconds = {step.name: step.seconds for step in self.steps} | {"total": time.monotonic() - self.began}
        return report(reward=reward, policy=policy, evaluation=run.evaluation, seconds=seconds)

    @contextmanager
    def step(self, name: str) -> Iterator[None]:
        """Time a step and say what came of it."""
        self.say(f"{name} …")
        self._result, began = "", time.monotonic()
        yield
        step = Step(name, time.monotonic() - began, self._result)
        self.steps.append(step)
        budget = f" of {BUDGET[name]}" if name in BUDGET else ""
        self.say(f"{name}: {step.result} ({step.seconds:.1f}{budget} s)")

    def steps_that_fit(self) -> int:
        """The policy steps that were wanted, or as many as the time left allows, by the pace so far."""
        wanted = PolicyConfig(**self.plan.policy)
        taken = {step.name: step.seconds for step in self.steps}
        a_text = taken["generate"] / max(1, self.completions().count())
        a_judgement = taken["gold scores"] / max(1, self.scores().count())
        a_rollout = a_text * TEXT_AND_UPDATE + a_judgement  # the reward model tries each text, as gold does
        a_step = wanted.prompts_per_step * wanted.completions_per_prompt * a_rollout
        both = 2 * self.project.prompts.held_out().count() * (self.plan.completions_per_task + 2)
        evaluation = MARGIN * both * (a_text + a_judgement)
        left = self.plan.minutes * 60 - (time.monotonic() - self.began) - evaluation - START_AND_END
        fitting = max(1, int(left / max(a_step, 0.001)) - 1)
        if fitting < wanted.steps:
            limit = f"{self.plan.minutes:g} minutes"
            self.say(f"  {fitting} steps instead of {wanted.steps}: more do not fit into {limit}")
        return min(wanted.steps, fitting)

    def make_project(self) -> Project:
        """A new project with the demo's tasks, imported by the light worker."""
        name = f"Loop {Project.objects.count() + 1}"
        project = Project.objects.create(
            name=name,
            slug=slugify(name),
            held_out_share=0.25,
            judgments_wanted=2,  # so that annotators' agreement can be measured
            strength_scale=True,
        )
        for path in demo.task_files():
            with path.open("rb") as file:
                batch = importing.create_import(
                    project=project,
                    name=path.name,
                    file=File(file, name=path.name),
                    user=None,
                    default_domain=Domain.GENERAL,
                )
            wait_for_import(batch)
            importing.start_import(batch)
            wait_for_import(batch)
        return project

    def generate(self) -> None:
        run = runs.start_generation(
            project=self.project,
            completions_per_task=self.plan.completions_per_task,
            tasks=self.plan.tasks,
        )
        self.follow(run)
        self._result = f"{self.completions().count()} completions"

    def rank(self) -> None:
        annotators = simulation.annotators_for(
            self.project, count=self.plan.annotators, noise=self.plan.noise, seed=self.plan.seed
        )
        done = 0
        for done in simulation.simulate(
            self.project, annotators, rankings=self.plan.rankings, seed=self.plan.seed
        ):
            if done % 200 == 0:
                self.say(f"  {done} rankings")
        self._result = f"{done} rankings by {len(annotators)} simulated annotators"

    def promote(self, evaluation: Evaluation) -> None:
        if (_gain(evaluation) or {"value": 0.0})["value"] > 0:
            promotion.promote(evaluation.new, user=None)
            self._result = f"“{evaluation.new}” writes from now on"
        else:
            self._result = "not promoted: the gold metric did not rise"

    def completions(self) -> QuerySet[Completion]:
        return Completion.objects.filter(prompt__project=self.project)

    def scores(self) -> QuerySet[Score]:
        return Score.objects.filter(completion__prompt__project=self.project, checkpoint=None)


def wait_for_import(batch: PromptImport) -> None:
    """Wait for the light worker to inspect or to store. Raises RuntimeError if it fails or nobody does it."""
    end = time.monotonic() + WAIT_SECONDS
    batch.refresh_from_db()
    while batch.is_active:
        if time.monotonic() > end:
            raise RuntimeError(f"no worker imported {batch.name} within {WAIT_SECONDS:.0f} s")
        time.sleep(0.1)
        batch.refresh_from_db()
    if batch.state not in (PromptImport.State.READY, PromptImport.State.DONE):
        raise RuntimeError(f"{batch.name} was not imported: {batch.error}")


def _accuracy(checkpoint: Checkpoint) -> str:
    accuracy = checkpoint.metrics["accuracy"]
    if accuracy is None:
        return "no held-out task was ranked"
    return f"{accuracy['value']:.0%} of held-out pairs ({accuracy['low']:.0%} to {accuracy['high']:.0%})"


def _gain(evaluation: Evaluation) -> dict[str, float] | None:
    found: dict[str, float] | None = evaluation.result.get("gold", {}).get("difference")
    return found


def _gain_in_words(evaluation: Evaluation) -> str:
    gain = _gain(evaluation)
    if gain is None:
        return "no held-out task can judge"
    return f"gold {gain['value']:+.3f} ({gain['low']:+.3f} to {gain['high']:+.3f})"
