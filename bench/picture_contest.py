"""Generators that met, for pictures of evaluations, leaderboards, promotions; all figures are invented."""

from __future__ import annotations

import dataclasses
import random
from typing import Any

import numpy as np
from django.utils import timezone
from picture_data import make_project

from annotator.models import Completion, Project, Prompt, User
from annotator.ranking import queue
from annotator.ranking.submit import Judgment, submit
from rlhf import blind, promotion, runs
from rlhf.lm.metrics import bootstrap_difference, bootstrap_mean, distinct_n
from rlhf.lm.over_optimisation import measured
from rlhf.lm.wins import matches_between, rate_by_task, wins
from rlhf.models import Checkpoint, Evaluation, Run, RunRecord, RunSample
from rlhf.stage_configs import fill_in

SLUG = "contest"
TASKS = 24
STEPS = 24
ORIGIN = {"logprob": -20.0, "tokens": 14, "finished": True}


def fill() -> None:
    """A project with three generators after the base, of which one games the reward."""
    people = {user.username: user for user in User.objects.all()}
    project = make_project(
        people, name="Plain words", slug=SLUG, judgments_wanted=2, gold_rate=0.0, repeat_rate=0.0
    )
    tasks = [
        Prompt.objects.create(
            project=project, text=f"Say it more plainly: notice number {n} of the town hall."
        )
        for n in range(TASKS)
    ]
    project.prompts.update(is_held_out=True)
    base = runs.base_policy(project)
    made = [_policy(project, "rloo", base, gold=(0.40, 0.52))]
    made.append(_policy(project, "grpo", made[0], gold=(0.52, 0.56)))
    made.append(_policy(project, "dpo", made[0], gold=None))
    gamed = _policy(project, "rloo", made[1], gold=(0.56, 0.38))
    first = _evaluate(project, tasks, made[0], base, gain=0.12)
    promotion.promote(made[0], user=people["alice"], seen=first.pk)
    _ask(first, [people["bob"], people["carol"]], judgments=36)
    second = _evaluate(project, tasks, made[1], made[0], gain=0.05)
    promotion.promote(made[1], user=people["alice"], seen=second.pk)
    _evaluate(project, tasks, gamed, made[1], gain=-0.15)


def numbers() -> dict[str, Any]:
    """What stands in the addresses of pages."""
    project = Project.objects.get(slug=SLUG)
    evaluations = list(Evaluation.objects.filter(new__project=project).order_by("pk"))
    policies = list(project.checkpoints.policies().exclude(run=None).order_by("pk"))
    return {
        "contest_evaluation": evaluations[0].run_id,
        "contest_unasked": evaluations[1].run_id,
        "contest_unevaluated": policies[2].pk,
        "contest_gamed": policies[3].pk,
        "contest_gamed_run": policies[3].run_id,
    }


def _policy(
    project: Project, algorithm: str, parent: Checkpoint, *, gold: tuple[float, float] | None
) -> Checkpoint:
    from rlhf.lm.configs import POLICY_CONFIGS

    config = fill_in(POLICY_CONFIGS[algorithm], {"algorithm": algorithm, "gold_every": 4 if gold else 0})
    now = timezone.now()
    run = Run.objects.create(
        project=project, kind="policy", state="done", config=config, step=STEPS, total=STEPS, policy=parent,
        started_at=now, finished_at=now, iteration=parent.iteration,
    )  # fmt: skip
    dice = np.random.default_rng(run.pk)
    hard = dice.normal(0, 0.1, 12)
    for step in range(STEPS + 1):
        part = step / STEPS
        values: dict[str, float] = {
            "reward": 0.1 + 1.4 * part + dice.normal(0, 0.1), "score": 0.3 + 1.5 * part, "kl": 5 * part,
            "entropy": 2.5 - part, "length": 18 + 4 * part, "score_std": 0.4, "repetition": 0.02,
        }  # fmt: skip
        if gold and step % 4 == 0:
            level = gold[0] + (gold[1] - gold[0]) * part
            golds = level + hard + dice.normal(0, 0.03, 12)
            rewards = 0.2 + 1.3 * part + dice.normal(0, 0.1, 12)
            values |= measured(
                {str(n): float(v) for n, v in enumerate(golds)},
                {str(n): float(v) for n, v in enumerate(rewards)},
            )
        RunRecord.objects.create(run=run, step=step, values=values)
    return Checkpoint.objects.create(
        project=project, kind="policy", name=f"{algorithm} {run.pk}", base_model=parent.base_model, run=run,
        parent=parent, folder=f"runs/{run.pk}/policy", iteration=parent.iteration,
    )  # fmt: skip


def _evaluate(
    project: Project, tasks: list[Prompt], new: Checkpoint, old: Checkpoint, *, gain: float
) -> Evaluation:
    run = Run.objects.create(
        project=project, kind="evaluation", state="done", policy=new, old_policy=old,
        started_at=timezone.now(), finished_at=timezone.now(), config={"seed": 0}, step=400, total=400,
    )  # fmt: skip
    dice = np.random.default_rng(run.pk)
    sides: dict[str, list[tuple[str, float | None, float]]] = {"old": [], "new": []}
    for task in tasks:
        extra = " It is for people in a hurry." * int(dice.integers(0, 3))
        for step in (1, 2):
            texts = {
                side: f"Write the notice again in {word} words, version {step} by {policy} for {task.pk}."
                + (extra if side == "new" else "")
                for side, policy, word in (("old", old, "other"), ("new", new, "short and plain"))
            }
            for side, lead in (("old", 0.0), ("new", gain)):
                sides[side].append((str(task.pk), 0.4 + lead + dice.normal(0, 0.14), float(len(texts[side]))))
            RunSample.objects.create(
                run=run, step=step, prompt=task, text=texts["new"], reference_text=texts["old"],
                values={"new": ORIGIN, "old": ORIGIN},
            )  # fmt: skip
    matches = matches_between(sides["old"], sides["new"])
    share = rate_by_task(matches)
    golds = {side: [float(v or 0) for _, v, _ in rows] for side, rows in sides.items()}

    def change(base: float, by: float, spread: float) -> dict[str, Any]:
        before = base + dice.normal(0, spread, TASKS)
        after = before + by + dice.normal(0, spread / 2, TASKS)
        return {
            "old": dataclasses.asdict(bootstrap_mean(before)),
            "new": dataclasses.asdict(bootstrap_mean(after)),
            "difference": dataclasses.asdict(bootstrap_difference(before, after)),
        }

    by_gold, texts = wins(matches), [f"{new} {n}" for n in range(4)]
    assert by_gold
    result = {
        "gold": change(0.4, gain, 0.1), "reward": change(0.2, 0.5, 0.3), "pessimistic": change(0.1, 0.4, 0.3),
        "fluency": change(4.1, -0.2, 0.3), "consistency": change(0.41, 0.05, 0.08),
        "length": change(17.0, 3.0, 3.0), "variety": change(0.8, -0.06, 0.05),
        "self_similarity": change(0.3, 0.05, 0.06), "leaks": change(0.05, -0.01, 0.02),
        "distinct_2": {"old": 0.62, "new": distinct_n(texts, 2)}, "kl": 4.2, "gap_closed": 0.52,
        "wins": {"gold": dataclasses.asdict(by_gold), "reward": dataclasses.asdict(by_gold)},
        "controls": {"none": {"value": 0.35, "low": 0.28, "high": 0.42}},
        "tasks": [
            {
                "task_id": str(task.pk), "old": golds["old"][2 * n], "new": golds["new"][2 * n],
                "gold_wins": share[str(task.pk)], "reward_wins": float(dice.choice([0.5, 0.75, 1.0])),
            }
            for n, task in enumerate(tasks)
        ],
    }  # fmt: skip
    return Evaluation.objects.create(run=run, old=old, new=new, result=result)


def _ask(evaluation: Evaluation, people: list[User], *, judgments: int) -> None:
    """Put it before them; they like the plainer text in two of three cases."""
    project = evaluation.run.project
    blind.ask(evaluation, tasks=TASKS, user=people[0])
    dice = random.Random(0)
    for number in range(judgments):
        assignment = queue.claim_next(annotator=people[number % len(people)], project=project)
        assert assignment
        texts = Completion.objects.in_bulk(assignment.order)
        plain = [pk for pk in assignment.order if "plain" in texts[pk].text]
        best = plain[0] if dice.random() < 0.67 else next(pk for pk in assignment.order if pk not in plain)
        ranks = {pk: 1 if pk == best else 2 for pk in assignment.order}
        submit(assignment=assignment, judgment=Judgment(ranks=ranks), idempotency_key=f"contest-{number}")
