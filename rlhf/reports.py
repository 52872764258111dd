"""What came of a run, as figures for people: each with its interval, its unit and what it means."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from django.utils.translation import gettext as _

from annotator.models import Prompt
from rlhf import blind
from rlhf.figures import Figure, figure
from rlhf.models import Checkpoint, Evaluation, Run, RunSample
from rlhf.reward_reports import NO_NAMES, RewardReport, reward_report


def gold_gain(evaluation: Evaluation) -> Figure:
    return figure(_("Gold gain"), _side(evaluation, "gold").get("difference"), is_difference=True)


def _side(evaluation: Evaluation, measure: str) -> dict[str, Any]:
    """{"old", "new", "difference"} of a measure; empty where it could not be taken."""
    found: dict[str, Any] | None = evaluation.result.get(measure)
    return found or {}


def evaluation_figures(evaluation: Evaluation) -> list[Figure]:
    """What a row of the lineage shows of a policy's evaluation: what it gained on the one before."""
    reward = _side(evaluation, "reward")
    found = [
        gold_gain(evaluation),
        figure(_("Reward gain"), reward.get("difference"), is_difference=True),
    ]
    won = (evaluation.result.get("wins") or {}).get("gold")
    return [*found, figure(_("Wins by gold"), won["rate"], is_share=True)] if won else found


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
    texts: list[RunSample]
    """What the new one wrote (`text`) beside the old one's (`reference_text`)."""


@dataclass(frozen=True)
class WinRow:
    """How often the new one's text was put above the old one's, by one judge."""

    judge: str
    rate: Figure
    controlled: Figure
    count: str


@dataclass(frozen=True)
class EvaluationReport:
    changes: list[Change]
    wins: list[WinRow]
    people: blind.Progress | None
    can_ask: int
    """On how many held-out tasks both wrote something that annotators can compare."""
    controls: list[Figure]
    facts: list[Figure]
    tasks: list[TaskGain]
    verdict: str
    is_better: bool
    evaluation: Evaluation
    template: str = "rlhf/_report_evaluation.html"


def report_of(run: Run, names: Mapping[str, str] = NO_NAMES) -> RewardReport | EvaluationReport | None:
    """What came of a run that has ended, where there is more to say than its curves do."""
    if run.kind == Run.Kind.REWARD:
        checkpoint = Checkpoint.objects.filter(run=run).select_related("project").first()
        return reward_report(checkpoint, names) if checkpoint else None
    if run.kind == Run.Kind.EVALUATION:
        evaluation = (
            Evaluation.objects.filter(run=run).select_related("run__project", "old", "new__project").first()
        )
        return evaluation_report(evaluation) if evaluation else None
    return None


def evaluation_report(evaluation: Evaluation) -> EvaluationReport:
    measures: list[tuple[str, str, str, dict[str, Any]]] = [
        ("gold", _("Gold metric"), _("contrast, nats a token"), {"digits": 3}),
        ("reward", _("Reward"), _("score of the reward model"), {}),
        ("pessimistic", _("Pessimistic reward"), _("less the heads' disagreement"), {}),
        ("fluency", _("Fluency"), _("nats a token for the untrained model; less is better"), {}),
        ("consistency", _("Consistency"), _("cosine of task and instruction"), {"digits": 3}),
        ("length", _("Length"), _("tokens an instruction"), {"digits": 1}),
        ("variety", _("Variety"), _("different pairs of words, within a task"), {"is_share": True}),
        ("self_similarity", _("Self-similarity"), _("words in common, within a task"), {"is_share": True}),
        ("distinct_1", _("Words"), _("different words, over all tasks"), {"is_share": True}),
        ("distinct_2", _("Pairs of words"), _("different ones, over all tasks"), {"is_share": True}),
        ("leaks", _("Leaks"), _("instructions that quote their examples"), {"is_share": True}),
    ]
    gold = gold_gain(evaluation)
    people = blind.progress(evaluation)
    return EvaluationReport(
        changes=[
            _change(label, unit, side, kinds)
            for measure, label, unit, kinds in measures
            if (side := _side(evaluation, measure))
        ],
        wins=_wins(evaluation.result, people),
        people=people,
        can_ask=RunSample.objects.filter(run=evaluation.run_id, step=1).count(),
        controls=_controls(evaluation.result),
        facts=_facts(evaluation.result),
        tasks=_task_gains(evaluation),
        verdict=_gold_verdict(gold),
        is_better=gold.low is not None and gold.low > 0,
        evaluation=evaluation,
    )


def _wins(result: Mapping[str, Any], people: blind.Progress | None) -> list[WinRow]:
    """By people first, then by gold and by reward, as far as there are any."""
    found: list[tuple[str, Mapping[str, Any]]] = []
    if people is not None and people.wins is not None:
        found.append((_("People"), asdict(people.wins)))
    kept = result.get("wins") or {}
    for judge, name in (("gold", _("Gold metric")), ("reward", _("Reward"))):
        if kept.get(judge):
            found.append((name, kept[judge]))
    return [
        WinRow(
            judge=name,
            rate=figure(_("Win rate"), won["rate"], is_share=True),
            controlled=figure(_("At equal length"), won.get("controlled"), is_share=True),
            count=_("%(matches)d pairs on %(tasks)d tasks")
            % {"matches": won["matches"], "tasks": won["tasks"]},
        )
        for name, won in found
    ]


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
    texts: dict[int, list[RunSample]] = {}
    for sample in RunSample.objects.filter(run=evaluation.run_id).order_by("step"):
        texts.setdefault(sample.prompt_id, []).append(sample)
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
            texts=texts.get(int(row["task_id"]), []),
        )
        for row, gain in sorted(gains, key=lambda item: -item[1])
    ]
