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
from django.utils.text import slugify

from annotator import demo
from annotator.exports import writing
from annotator.models import Completion, Domain, Project, PromptImport, Ranking
from annotator.prompts import importing
from rlhf import runs, simulation
from rlhf.models import Checkpoint, Evaluation, Run, RunRecord, Score

WAIT_SECONDS = 60.0
NOTHING: dict[str, float | None] = {"value": None, "low": None, "high": None}
NO_COMPARISON = {"old": NOTHING, "new": NOTHING, "difference": NOTHING}
"""Where nothing could be measured: no held-out task was ranked, or none can judge."""


@dataclass(frozen=True)
class Plan:
    """How large a loop is; the defaults fit into 15 minutes on two cores."""

    completions_per_task: int = 4
    tasks: int | None = None
    annotators: int = 5
    rankings: int = 2000
    noise: float = 0.15
    seed: int = 0
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
            scores = Score.objects.filter(completion__prompt__project=self.project, checkpoint=None)
            self._result = f"{scores.count()} scores"
        with self.step("rank"):
            self.rank()
        with self.step("reward model"):
            reward = self.follow(runs.start_reward(project=self.project, config=self.plan.reward)).checkpoint
            self._result = _accuracy(reward)
        with self.step("policy"):
            policy = self.follow(runs.start_policy(project=self.project, config=self.plan.policy))
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
        return self.report(reward, policy, run.evaluation)

    @contextmanager
    def step(self, name: str) -> Iterator[None]:
        """Time a step and say what came of it."""
        self.say(f"{name} …")
        self._result, began = "", time.monotonic()
        yield
        step = Step(name, time.monotonic() - began, self._result)
        self.steps.append(step)
        self.say(f"{name}: {step.result} ({step.seconds:.1f} s)")

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
            runs.promote(evaluation.new, user=None)
            self._result = f"“{evaluation.new}” writes from now on"
        else:
            self._result = "not promoted: the gold metric did not rise"

    def completions(self) -> Any:
        return Completion.objects.filter(prompt__project=self.project)

    def report(self, reward: Checkpoint, policy: Run, evaluation: Evaluation) -> dict[str, Any]:
        """What `var/loop.json` says."""
        accuracy = reward.metrics["accuracy"] or NOTHING
        gold = evaluation.result.get("gold", NO_COMPARISON)
        rewards = evaluation.result.get("reward", NO_COMPARISON)
        records = RunRecord.objects.filter(run__project=self.project)
        return {
            "prompts": self.project.prompts.count(),
            "completions": self.completions().count(),
            "rankings": Ranking.objects.live().filter(comparison__project=self.project).count(),
            "reward": {
                **{
                    name: accuracy[side]
                    for name, side in (("accuracy", "value"), ("low", "low"), ("high", "high"))
                },
                "longer": _value(reward.metrics["longer"]),
                "human_ceiling": _value(reward.metrics["human_ceiling"]),
            },
            "policy": {
                "algorithm": policy.config["algorithm"],
                "steps": policy.step,
                "kl": evaluation.result["kl"],
                "reward_before": _value(rewards["old"]),
                "reward_after": _value(rewards["new"]),
                "gold_before": _value(gold["old"]),
                "gold_after": _value(gold["new"]),
                "gain": gold["difference"]["value"],
                "low": gold["difference"]["low"],
                "high": gold["difference"]["high"],
            },
            "seconds": {
                **{step.name: round(step.seconds, 1) for step in self.steps},
                "total": round(time.monotonic() - self.began, 1),
            },
            "peak_mb": max(record.values["peak_mb"] for record in records),
        }


def wait_for_import(batch: PromptImport) -> None:
    """Wait for the light worker. Raises RuntimeError if the import fails or nobody does it."""
    end = time.monotonic() + WAIT_SECONDS
    while batch.state in (PromptImport.State.QUEUED, PromptImport.State.RUNNING):
        if time.monotonic() > end:
            raise RuntimeError(f"no worker imported {batch.name} within {WAIT_SECONDS:.0f} s")
        time.sleep(0.1)
        batch.refresh_from_db()
    if batch.state != PromptImport.State.DONE:
        raise RuntimeError(f"{batch.name} was not imported: {batch.error}")


def table(report: dict[str, Any]) -> str:
    """The report for people."""
    reward, policy = report["reward"], report["policy"]

    def number(value: float | None, digits: int = 2) -> str:
        return "–" if value is None else f"{value:.{digits}f}"

    rows = [
        (
            "prompts, completions, rankings",
            f"{report['prompts']}, {report['completions']}, {report['rankings']}",
        ),
        (
            "reward model on held-out prompts",
            f"{number(reward['accuracy'])} ({number(reward['low'])} to {number(reward['high'])})",
        ),
        ("  longer wins", number(reward["longer"])),
        ("  annotators with each other", number(reward["human_ceiling"])),
        (f"{policy['algorithm']} steps, KL", f"{policy['steps']}, {number(policy['kl'])} nats"),
        ("reward before, after", f"{number(policy['reward_before'])}, {number(policy['reward_after'])}"),
        ("gold before, after", f"{number(policy['gold_before'], 3)}, {number(policy['gold_after'], 3)}"),
        (
            "gain in gold (paired, 95 %)",
            f"{number(policy['gain'], 3)} ({number(policy['low'], 3)} to {number(policy['high'], 3)})",
        ),
        *((f"seconds: {name}", number(seconds, 1)) for name, seconds in report["seconds"].items()),
        ("peak memory of the model worker", f"{report['peak_mb']} MB"),
    ]
    width = max(len(name) for name, _ in rows)
    return "\n".join(f"{name:<{width}}  {value}" for name, value in rows)


def _value(found: Any) -> float | None:
    """The number of a figure, with or without its interval."""
    value: float | None = found["value"] if isinstance(found, dict) else found
    return value


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
