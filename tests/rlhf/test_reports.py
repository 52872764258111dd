"""What came of a run, in figures: signs, intervals, verdicts, places in the pictures."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client

from annotator.models import Project, User
from rlhf import runs
from rlhf.figures import figure
from rlhf.models import Checkpoint, Evaluation, Run, RunSample
from rlhf.reports import evaluation_report, report_of
from rlhf.reward_reports import reward_report
from rlhf.run_data import csv_lines
from tests.factories import make_prompt

ClientOf = Callable[[User], Client]


def interval(value: float, low: float, high: float) -> dict[str, float]:
    return {"value": value, "low": low, "high": high}


def make_evaluation(project: Project, **result: Any) -> Evaluation:
    policy_run = Run.objects.create(project=project, kind="policy", state="done")
    base = runs.base_policy(project)
    policy = Checkpoint.objects.create(
        project=project, kind="policy", name="new", base_model=base.base_model, run=policy_run, parent=base
    )
    run = Run.objects.create(project=project, kind="evaluation", state="done")
    return Evaluation.objects.create(run=run, old=base, new=policy, result=result)


def test_figures_are_written_for_people():
    assert figure("a", 0.636, is_share=True).text == "64 %"
    assert figure("a", interval(0.636, 0.58, 0.691), is_share=True).interval == "58–69 %"
    assert figure("a", interval(-0.1, -0.25, 0.05), is_difference=True).text == "−0.10"
    assert figure("a", interval(-0.1, -0.25, 0.05), is_difference=True).interval == "−0.25 – +0.05"
    shares = figure("a", interval(-0.05, -0.06, 0.02), is_share=True, is_difference=True)
    assert (shares.text, shares.interval) == ("−5 %", "−6 % – +2 %")
    assert (figure("a", None).text, figure("a", None).interval) == ("–", "")


@pytest.mark.parametrize(
    ("low", "words"), [(0.51, "better than chance"), (0.5, "cannot be told from chance")]
)
def test_a_reward_model_is_called_good_only_above_chance(low: float, words: str):
    report = reward_report(Checkpoint(metrics={"accuracy": interval(0.6, low, 0.7)}))
    assert words in report.verdict


def test_a_reward_model_without_held_out_pairs_says_so():
    report = reward_report(Checkpoint(metrics={"accuracy": None}))
    assert "no held-out pair" in report.verdict
    assert report.whiskers == []


def test_whiskers_stand_on_an_axis_from_30_to_100_percent():
    report = reward_report(Checkpoint(metrics={"accuracy": interval(0.65, 0.3, 1.0), "longer": 0.1}))
    model, longer = report.whiskers
    assert (model.x, model.x_low, model.x_high) == (50, 0, 100)
    assert (longer.x, longer.x_low, longer.x_high) == (0, 0, 0)
    assert report.ticks[0] == (0, "30 %") and report.ticks[-1] == (100, "100 %")


@pytest.mark.parametrize(
    ("difference", "words", "is_better"),
    [
        (interval(0.07, 0.01, 0.13), "is better", True),
        (interval(0.07, -0.01, 0.15), "cannot be told apart", False),
        (interval(-0.07, -0.13, -0.01), "is worse", False),
        (None, "No held-out task could be judged", False),
    ],
)
def test_the_verdict_follows_the_interval(
    project: Project, difference: dict[str, float] | None, words: str, is_better: bool
):
    report = evaluation_report(make_evaluation(project, gold={"difference": difference}))
    assert words in report.verdict
    assert report.is_better is is_better


def test_a_difference_without_an_interval_is_still_shown(project: Project):
    report = evaluation_report(make_evaluation(project, length={"old": 17.0, "new": 15.5}))
    [length] = report.changes
    assert (length.old.text, length.new.text, length.difference.text) == ("17.0", "15.5", "−1.5")


def test_what_could_not_be_measured_is_left_out(project: Project):
    evaluation = make_evaluation(project, gold=None, reward=None, kl=2.5, gap_closed=None, controls={})
    report = evaluation_report(evaluation)
    assert (report.changes, report.controls) == ([], [])
    assert [(item.label, item.text) for item in report.facts] == [("KL of new to old", "2.50")]


def test_shares_change_in_percent(project: Project):
    report = evaluation_report(make_evaluation(project, leaks={"old": 0.1, "new": 0.04}))
    [leaks] = report.changes
    assert (leaks.old.text, leaks.new.text, leaks.difference.text) == ("10 %", "4 %", "−6 %")


def test_controls_stand_beside_the_gold_metric(project: Project):
    report = evaluation_report(make_evaluation(project, controls={"people": interval(0.61, 0.5, 0.7)}))
    assert [(item.label, item.text, item.interval) for item in report.controls] == [
        ("Written by people", "0.610", "0.500 – 0.700")
    ]


def test_the_gains_of_the_tasks_come_greatest_first(project: Project):
    first, second, third = (make_prompt(project) for _ in range(3))
    rows = [
        {"task_id": str(first.pk), "old": 0.5, "new": 0.4},
        {"task_id": str(second.pk), "old": 0.1, "new": 0.3},
        {"task_id": str(third.pk), "old": None, "new": None},
    ]
    evaluation = make_evaluation(project, tasks=rows)
    gains = evaluation_report(evaluation).tasks
    assert [(gain.prompt, gain.gain.text, gain.x, gain.width) for gain in gains] == [
        (second, "+0.20", 50, 50),
        (first, "−0.10", 25, 25),
    ]
    assert list(csv_lines(evaluation.run)) == [
        "task_id,old,new\r\n",
        f"{first.pk},0.5,0.4\r\n",
        f"{second.pk},0.1,0.3\r\n",
        f"{third.pk},,\r\n",
    ]


def test_a_tasks_gain_stands_with_what_both_wrote(project: Project, client_of: ClientOf, alice: User):
    prompt = make_prompt(project)
    evaluation = make_evaluation(project, tasks=[{"task_id": str(prompt.pk), "old": 0.1, "new": 0.3}])
    for step, text in ((2, "Be <b>kind</b>."), (1, "Be brief.")):
        RunSample.objects.create(
            run=evaluation.run, step=step, prompt=prompt, text=text, reference_text=f"Old {step}"
        )
    [gain] = evaluation_report(evaluation).tasks
    assert [(sample.reference_text, sample.text) for sample in gain.texts] == [
        ("Old 1", "Be brief."),
        ("Old 2", "Be <b>kind</b>."),
    ]
    page = client_of(alice).get(evaluation.run.get_absolute_url()).content.decode()
    assert "Be &lt;b&gt;kind&lt;/b&gt;." in page and "Old 2" in page


def test_only_what_has_come_out_is_reported(project: Project):
    for kind in ("generation", "reward", "evaluation"):
        assert report_of(Run.objects.create(project=project, kind=kind, state="done")) is None
