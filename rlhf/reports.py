"""What came of a run, as figures for people: each with its interval, its unit and what it means."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from django.utils.translation import gettext as _

from annotator.models import Prompt
from rlhf.figures import Figure, figure
from rlhf.models import Checkpoint, Evaluation, Run


def reward_figures(checkpoint: Checkpoint) -> list[Figure]:
    """What a row of the reward models shows: accuracy, the length baseline, the human ceiling."""
    metrics = checkpoint.metrics
    return [
        figure(_("Held-out accuracy"), metrics.get("accuracy"), is_share=True),
        figure(_("Longer wins"), metrics.get("longer"), is_share=True),
        figure(_("Human ceiling"), metrics.get("human_ceiling"), is_share=True),
    ]


def gold_gain(evaluation: Evaluation) -> Figure:
    return figure(_("Gold gain"), _side(evaluation, "gold").get("difference"), is_difference=True)


def _side(evaluation: Evaluation, measure: str) -> dict[str, Any]:
    """{"old", "new", "difference"} of a measure; empty where it could not be taken."""
    found: dict[str, Any] | None = evaluation.result.get(measure)
    return found or {}


def evaluation_figures(evaluation: Evaluation) -> list[Figure]:
    """What a row of the lineage shows of a policy's evaluation: what it gained on the one before."""
    reward = _side(evaluation, "reward")
    return [
        gold_gain(evaluation),
        figure(_("Reward gain"), reward.get("difference"), is_difference=True),
    ]


@dataclass(frozen=True)
class Whisker:
    """A figure as a dot with its interval, on an axis; places are percentages of its width."""

    figure: Figure
    kind: str
    """model, baseline or ceiling: how it is drawn."""
    x: float
    x_low: float
    x_high: float


@dataclass(frozen=True)
class RewardReport:
    """How well a reward model predicts people, beside what little and what most it could."""

    whiskers: list[Whisker]
    ticks: list[tuple[float, str]]
    chance: float
    figures: list[Figure]
    bins: list[dict[str, Any]]
    verdict: str
    template: str = "rlhf/_report_reward.html"


@dataclass(frozen=True)
class Change:
    """One measure of an evaluation: old, new, and what the new one gained."""

    label: str
    unit: str
    old: Figure
    new: Figure
    difference: Figure


@dataclass(frozen=True)
class TaskGain:
    """One held-out task: its gold before and after, and the gain as a bar from the middle."""

    prompt: Prompt
    old: Figure
    new: Figure
    gain: Figure
    x: float
    width: float


@dataclass(frozen=True)
class EvaluationReport:
    changes: list[Change]
    controls: list[Figure]
    facts: list[Figure]
    tasks: list[TaskGain]
    verdict: str
    is_better: bool
    evaluation: Evaluation
    template: str = "rlhf/_report_evaluation.html"


def report_of(run: Run) -> RewardReport | EvaluationReport | None:
    """What came of a run that has ended, where there is more to say than its curves do."""
    if run.kind == Run.Kind.REWARD:
        checkpoint = Checkpoint.objects.filter(run=run).first()
        return reward_report(checkpoint) if checkpoint else None
    if run.kind == Run.Kind.EVALUATION:
        evaluation = Evaluation.objects.filter(run=run).select_related("old", "new__project").first()
        return evaluation_report(evaluation) if evaluation else None
    return None


LEFT, RIGHT = 0.3, 1.0
"""The ends of the axis of shares."""


def reward_report(checkpoint: Checkpoint) -> RewardReport:
    metrics = checkpoint.metrics
    accuracy = figure(_("Reward model"), metrics.get("accuracy"), is_share=True)
    compared = [
        (accuracy, "model"),
        (
            figure(_("… on annotators it has not seen"), metrics.get("left_out_annotators"), is_share=True),
            "model",
        ),
        (figure(_("The longer one wins"), metrics.get("longer"), is_share=True), "baseline"),
        (figure(_("Words alone (TF-IDF)"), metrics.get("tfidf"), is_share=True), "baseline"),
        (figure(_("Annotators with each other"), metrics.get("human_ceiling"), is_share=True), "ceiling"),
    ]
    others = [
        figure(_("Training accuracy"), metrics.get("train_accuracy"), is_share=True),
        figure(_("Training pairs"), metrics.get("train_pairs"), digits=0),
        figure(_("Held-out pairs"), metrics.get("held_out_pairs"), digits=0),
        figure(_("Held-out tasks"), metrics.get("held_out_tasks"), digits=0),
        figure(_("Judged by simulated annotators"), metrics.get("simulated_share"), is_share=True),
        figure(
            _("Calibration error"),
            metrics.get("ece"),
            is_share=True,
            hint=_("How far stated probabilities are from what happened."),
        ),
        figure(
            _("Correlation with length"),
            metrics.get("length_correlation"),
            hint=_("Within tasks; far from zero, it likes texts for their length."),
        ),
    ]
    return RewardReport(
        whiskers=[_whisker(item, kind) for item, kind in compared if item.value is not None],
        ticks=[(_place(tick / 10), f"{10 * tick} %") for tick in range(3, 11)],
        chance=_place(0.5),
        figures=[item for item in others if item.value is not None],
        bins=metrics.get("bins") or [],
        verdict=_reward_verdict(accuracy),
    )


def _reward_verdict(accuracy: Figure) -> str:
    if accuracy.value is None:
        return _("There was no held-out pair to judge it by.")
    if accuracy.low is not None and accuracy.low > 0.5:
        return _("It predicts people better than chance on tasks that it has not seen.")
    return _("On tasks that it has not seen it cannot be told from chance. More rankings may help.")


def _whisker(item: Figure, kind: str) -> Whisker:
    value = item.value or 0.0
    return Whisker(
        item,
        kind,
        _place(value),
        _place(value if item.low is None else item.low),
        _place(value if item.high is None else item.high),
    )


def _place(share: float) -> float:
    """Where a share stands on the axis, in percent of its width."""
    return round(100 * (min(max(share, LEFT), RIGHT) - LEFT) / (RIGHT - LEFT), 2)


def evaluation_report(evaluation: Evaluation) -> EvaluationReport:
    measures: list[tuple[str, str, str, dict[str, Any]]] = [
        ("gold", _("Gold metric"), _("contrast, nats a token"), {"digits": 3}),
        ("reward", _("Reward"), _("score of the reward model"), {}),
        ("pessimistic", _("Pessimistic reward"), _("less the heads' disagreement"), {}),
        ("length", _("Length"), _("tokens an instruction"), {"digits": 1}),
        ("distinct_2", _("Variety"), _("different pairs of words"), {"is_share": True}),
        ("leaks", _("Leaks"), _("instructions that quote their examples"), {"is_share": True}),
    ]
    gold = gold_gain(evaluation)
    return EvaluationReport(
        changes=[
            _change(label, unit, side, kinds)
            for measure, label, unit, kinds in measures
            if (side := _side(evaluation, measure))
        ],
        controls=_controls(evaluation.result),
        facts=_facts(evaluation.result),
        tasks=_task_gains(evaluation),
        verdict=_gold_verdict(gold),
        is_better=gold.low is not None and gold.low > 0,
        evaluation=evaluation,
    )


def _change(label: str, unit: str, side: Mapping[str, Any], kinds: dict[str, Any]) -> Change:
    old, new = figure(_("Old"), side.get("old"), **kinds), figure(_("New"), side.get("new"), **kinds)
    difference = side.get("difference")
    if difference is None and old.value is not None and new.value is not None:
        difference = new.value - old.value
    gained = figure(_("Difference"), difference, is_difference=True, **kinds)
    return Change(label, unit, old, new, gained)


def _controls(result: dict[str, Any]) -> list[Figure]:
    """What the gold metric says of other texts, to read its numbers by."""
    names = [
        ("none", _("No instruction")),
        ("people", _("Written by people")),
        ("output", _("“To get the output, …” and one output")),
        ("examples", _("Two examples pasted")),
    ]
    controls = result.get("controls") or {}
    return [figure(label, controls[name], digits=3) for name, label in names if controls.get(name)]


def _facts(result: dict[str, Any]) -> list[Figure]:
    found = [
        figure(_("KL of new to old"), result.get("kl"), hint=_("nats an instruction")),
        figure(
            _("Gap closed"),
            result.get("gap_closed"),
            is_share=True,
            hint=_("of the way from the old generator to what people wrote"),
        ),
    ]
    return [item for item in found if item.value is not None]


def _gold_verdict(gain: Figure) -> str:
    if gain.value is None or gain.low is None or gain.high is None:
        return _("No held-out task could be judged by the gold metric.")
    if gain.low > 0:
        return _("The new generator is better by the gold metric: the interval lies above zero.")
    if gain.high < 0:
        return _("The new generator is worse by the gold metric: the interval lies below zero.")
    return _("By the gold metric the two cannot be told apart: the interval contains zero.")


def _task_gains(evaluation: Evaluation) -> list[TaskGain]:
    """The held-out tasks, the greatest gain first."""
    rows = [row for row in evaluation.result.get("tasks", []) if None not in (row["old"], row["new"])]
    prompts = evaluation.new.project.prompts.in_bulk([int(row["task_id"]) for row in rows])
    gains = [(row, row["new"] - row["old"]) for row in rows if int(row["task_id"]) in prompts]
    largest = max((abs(gain) for _row, gain in gains), default=0) or 1
    return [
        TaskGain(
            prompt=prompts[int(row["task_id"])],
            old=figure(_("Old"), row["old"]),
            new=figure(_("New"), row["new"]),
            gain=figure(_("Gain"), gain, is_difference=True),
            x=round(50 + min(0.0, 50 * gain / largest), 2),
            width=round(abs(50 * gain / largest), 2),
        )
        for row, gain in sorted(gains, key=lambda item: -item[1])
    ]
