"""Runs in every state, for pictures of their pages and of the lineage; all their figures are invented."""

from __future__ import annotations

import math
import random
from datetime import timedelta
from typing import Any

from django.utils import timezone
from picture_data import make_project, make_task

from annotator.models import Project, User
from rlhf import promotion, run_log, runs
from rlhf.models import Checkpoint, Evaluation, Run, RunRecord, RunSample
from rlhf.stage_configs import fill_in

SLUG = "tuned"
SECONDS = 21
LONG = (
    "Read the customer's message twice. Say in the first sentence what the shop will do, then what the "
    "customer has to do, then by when. " * 6
).strip()
TASKS = [
    (
        "A customer asks for a refund after the thirty days. Write how the support team should answer.",
        [
            ("Write a reply to the customer.", "You are a helpful assistant. Write a reply."),
            ("Reply in two sentences: what the rule is, and what we offer.", ""),
            ("Reply in two sentences: name the 30 days, offer a repair or a voucher, no excuses.", ""),
            (LONG, ""),
        ],
    ),
    (
        "网店客服后台一早涌进几十条留言，值班组长要把它们分到不同的小组去处理。",
        [
            ("把留言归类。", "请处理这些留言。"),
            ("判断留言属于哪个小组，只回答一个词。", ""),
            ("判断留言该由哪个小组处理，只回答一个词：物流、退款、发票。看不出时回答“其他”。", ""),
            (
                "判断留言该由哪个小组处理，只回答一个词：物流、退款、账号。看不出时回答“其他”，不解释。",
                "",
            ),
        ],
    ),
    (
        "Turn a product description into a title that a shop's search finds.",
        [
            ("Give the product a catchy slogan.", "Write a title for the product."),
            ("Write a title of at most seven words.", ""),
            ("Write a title of at most seven words: material, number, use; no praise.", ""),
            ("<b>Title</b> of at most seven words; material first, then the use. No praise, no brand.", ""),
        ],
    ),
]


def numbers() -> dict[str, Any]:
    """What stands in the addresses of pages: the runs of the project `tuned`, by what they show."""
    found = Run.objects.filter(project__slug=SLUG, kind=Run.Kind.POLICY).order_by("pk")
    by_state = {f"run_{run.state}": run.pk for run in found}
    stopped = [run.pk for run in found if run.note.startswith("stopped")]
    done = [run.pk for run in found if run.state == Run.State.DONE][:4]
    return {
        **by_state,
        "run_stopped": stopped[0],
        "run_done": done[0],
        "compared": "&".join(f"run={pk}" for pk in done),
        "run_queued": Run.objects.get(project__slug="release-notes", kind=Run.Kind.POLICY).pk,
        "run_empty": Run.objects.get(project__slug="short-texts", kind=Run.Kind.POLICY).pk,
    }


def fill() -> None:
    people = {user.username: user for user in User.objects.all()}
    project = make_project(people, name="Tuned generators", slug=SLUG, held_out_share=0.2)
    prompts = [
        make_task(project, text, "customer-service", [("a", "b")], [pair[0] for pair in texts])
        for text, texts in TASKS
    ]
    reward_run = _run(project, people["alice"], kind=Run.Kind.REWARD, state=Run.State.DONE)
    interval = {"value": 0.66, "low": 0.6, "high": 0.71}
    Checkpoint.objects.create(
        project=project,
        kind=Checkpoint.Kind.REWARD,
        name=f"reward {reward_run.pk}",
        base_model=project.base_model,
        run=reward_run,
        metrics={"accuracy": interval, "longer": {**interval, "value": 0.52}, "human_ceiling": interval},
    )
    base = runs.base_policy(project)
    first = _policy(project, people["alice"], prompts, "rloo", base, steps=16, gain=0.05)
    second = _policy(project, people["alice"], prompts, "grpo", base, steps=16, gain=0.02, learning_rate=1e-4)
    third = _policy(project, people["alice"], prompts, "rloo", first, steps=16, gain=0.04, kl_coef=0.01)
    _policy(project, people["alice"], prompts, "dpo", first, gain=-0.03)
    _policy(project, people["alice"], prompts, "sft", second, gain=None)
    promotion.promote(third, user=people["alice"])
    _policy(project, people["alice"], prompts, "dr_grpo", third, steps=16, stops_at=9, learning_rate=5e-4)
    _policy(project, people["alice"], prompts, "rloo", third, steps=16, state=Run.State.CANCELLED, until=6)
    _policy(project, people["alice"], prompts, "rloo", third, steps=16, state=Run.State.FAILED, until=3)
    _policy(project, people["alice"], prompts, "rloo", third, steps=24, state=Run.State.RUNNING, until=11)
    for slug, state in (("release-notes", Run.State.QUEUED), ("short-texts", Run.State.RUNNING)):
        other = Project.objects.get(slug=slug)
        config = fill_in(runs.PolicyConfig, {"algorithm": "rloo"})
        _run(other, people["alice"], kind=Run.Kind.POLICY, state=state, config=config, total=16)


def _run(project: Project, user: User, *, state: str, **values: Any) -> Run:
    now = timezone.now()
    started = None if state == Run.State.QUEUED else now - timedelta(minutes=7)
    ended = None if state in (Run.State.QUEUED, Run.State.RUNNING) else now
    run = Run.objects.create(
        project=project, state=state, created_by=user, started_at=started, finished_at=ended, **values
    )
    if started:
        run_log.append(run, "attempt 1, by worker:4711")
        run_log.append(run, "Loading the models")
    return run


def _policy(
    project: Project,
    user: User,
    prompts: list[Any],
    algorithm: str,
    parent: Checkpoint,
    *,
    gain: float | None = None,
    state: str = Run.State.DONE,
    until: int | None = None,
    stops_at: int | None = None,
    **given: Any,
) -> Checkpoint:
    """A policy run with records, samples and, where it ended well, a checkpoint and its evaluation."""
    config = fill_in(runs.POLICY_CONFIGS[algorithm], {"algorithm": algorithm, **given})
    total = config.get("steps", 24)
    last = next(step for step in (until, stops_at, total) if step is not None)
    run = _run(
        project,
        user,
        kind=Run.Kind.POLICY,
        state=state,
        config=config,
        policy=parent,
        total=total,
        step=last,
        attempts=2 if state == Run.State.RUNNING else 1,
    )
    dice = random.Random(run.pk)
    online = "steps" in config
    for step in range(last + 1):
        values = _online(step, dice, stops_at) if online else _offline(step, dice)
        record = RunRecord.objects.create(run=run, step=step, values=values)
        ago = timedelta(seconds=SECONDS * (last - step))
        RunRecord.objects.filter(pk=record.pk).update(created_at=timezone.now() - ago)
        run_log.append(run, f"Step {step} of {total}")
        if step % 4 == 0 or step == last:
            _samples(run, step, prompts, min(3, 4 * step // (total or 1)))
    if stops_at:
        note = f"stopped: KL 8.31 is over the budget of 8; the policy of step {stops_at - 1} is kept"
        run_log.append(run, note)
        Run.objects.filter(pk=run.pk).update(note=note)
    if state == Run.State.FAILED:
        error = f"step {last}: the gradient is nan; lower learning_rate (FloatingPointError)"
        run_log.append(run, error)
        Run.objects.filter(pk=run.pk).update(error=error)
    if state == Run.State.RUNNING:
        note = "Its worker died at step 5; it went back to the queue to go on from its last checkpoint."
        Run.objects.filter(pk=run.pk).update(note=note, message="Step 11 of 24: reward 0.63, KL 1.90")
    if state != Run.State.DONE:
        return parent
    checkpoint = Checkpoint.objects.create(
        project=project,
        kind=Checkpoint.Kind.POLICY,
        name=f"{algorithm} {run.pk}",
        base_model=parent.base_model,
        parent=parent,
        run=run,
        iteration=run.iteration,
        config=config,
        metrics=values,
    )
    if gain is not None:
        evaluation = _run(project, user, kind=Run.Kind.EVALUATION, state=Run.State.DONE, policy=checkpoint)
        before, after = {"value": 0.446}, {"value": 0.446 + gain}
        difference = {"value": gain, "low": gain - 0.035, "high": gain + 0.04}
        Evaluation.objects.create(
            run=evaluation,
            old=parent,
            new=checkpoint,
            result={
                "gold": {"old": before, "new": after, "difference": difference},
                "kl": 1.4,
                "tasks": [],
            },
        )
    return checkpoint


def _online(step: int, dice: random.Random, stops_at: int | None) -> dict[str, float]:
    pace = 3 if stops_at else 1
    reward = -0.4 + 1.1 * (1 - math.exp(-pace * step / 9)) + dice.gauss(0, 0.05)
    return {
        "reward": reward,
        "score": reward + 0.12,
        "score_std": 0.22 + 0.01 * step,
        "kl": pace * pace * 0.1 * step + abs(dice.gauss(0, 0.05)),
        "entropy": 2.9 - 0.05 * pace * step + dice.gauss(0, 0.03),
        "length": 21 + 0.6 * step + dice.gauss(0, 0.7),
        "finished": 0.9,
        "repetition": 0.02 + 0.002 * step,
        "useful": 1.0,
        "grad_norm": 0.8,
        "tokens_per_s": 190 + dice.gauss(0, 12),
        "sampling_seconds": 7.0,
        "seconds": SECONDS + dice.gauss(0, 1.5),
        "peak_mb": 2400,
    }


def _offline(step: int, dice: random.Random) -> dict[str, float]:
    return {
        "loss": 0.69 * math.exp(-step / 30) + dice.gauss(0, 0.01),
        "chosen": 0.1 * step,
        "margin": 0.2 * step,
        "accuracy_train": min(0.95, 0.5 + 0.02 * step),
        "tokens_per_s": 240 + dice.gauss(0, 12),
        "seconds": 6 + dice.gauss(0, 0.4),
        "peak_mb": 1900,
    }


def _samples(run: Run, step: int, prompts: list[Any], stage: int) -> None:
    for prompt, (_text, texts) in zip(prompts, TASKS, strict=True):
        RunSample.objects.create(
            run=run,
            step=step,
            prompt=prompt,
            text=texts[stage][0],
            reference_text=texts[0][1],
            values={"reward": -0.2 + 0.3 * stage},
        )
