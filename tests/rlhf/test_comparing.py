"""Runs beside each other: which may be compared, what differs, the same as JSON and CSV."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client

from annotator.models import Project, User
from rlhf import comparing, runs
from rlhf.models import Checkpoint, Evaluation, Run, RunRecord
from rlhf.stage_configs import fill_in

URL = "/projects/support/runs/compare/"


@pytest.fixture
def manager(alice: User, client_of: Callable[[User], Client]) -> Client:
    return client_of(alice)


@pytest.fixture
def two(project: Project) -> list[Run]:
    """RLOO at two learning rates: the first done and evaluated, the second under way."""
    made = []
    for number, state in enumerate(("done", "running")):
        config = fill_in(runs.PolicyConfig, {"algorithm": "rloo", "learning_rate": 1e-4 * (number + 1)})
        run = Run.objects.create(project=project, kind="policy", state=state, config=config, step=2, total=2)
        for step in range(3 - number):
            values = {"reward": 0.1 * step + number, "kl": 0.5 * step, "length": 20.0, "tokens_per_s": 190.0}
            RunRecord.objects.create(run=run, step=step, values=values)
        made.append(run)
    base = runs.base_policy(project)
    new = Checkpoint.objects.create(
        project=project, kind="policy", name="rloo 1", base_model="b", parent=base, run=made[0]
    )
    Evaluation.objects.create(
        run=Run.objects.create(project=project, kind="evaluation", state="done"),
        old=base,
        new=new,
        result={"gold": {"difference": {"value": 0.054, "low": 0.02, "high": 0.102}}},
    )
    return made


def query(*chosen: Run | int) -> str:
    return URL + "?" + "&".join(f"run={run if isinstance(run, int) else run.pk}" for run in chosen)


def test_a_plot_has_a_line_a_run_with_a_look_of_its_own(two: list[Run]):
    drawn = {plot.key: plot for plot in comparing.plots_of(two)}
    assert list(drawn)[:3] == ["reward", "kl", "entropy"] and "speed" in drawn
    first, second = two
    assert [(line.key, line.label, line.look) for line in drawn["reward"].series] == [
        (f"{first.pk}:reward", f"RLOO {first.pk}", 1),
        (f"{second.pk}:reward", f"RLOO {second.pk}", 2),
    ]


def test_a_run_keeps_its_look_where_it_is_alone_in_a_plot(two: list[Run], project: Project):
    dpo = Run.objects.create(
        project=project, kind="policy", state="done", config=fill_in(runs.POLICY_CONFIGS["dpo"], {})
    )
    drawn = {plot.key: plot for plot in comparing.plots_of([*two, dpo])}
    [line] = drawn["margin"].series
    assert (line.key, line.look) == (f"{dpo.pk}:margin", 3)
    assert [line.look for line in drawn["speed"].series] == [1, 2, 3]


def test_settings_that_differ_are_told_from_those_that_do_not(two: list[Run], project: Project):
    rows = {row.name: row for row in comparing.settings_of(two)}
    assert rows["learning_rate"].values == ["0.0001", "0.0002"]
    assert [name for name, row in rows.items() if row.differs] == ["learning_rate"]
    reward = Run.objects.create(project=project, kind="reward", config={"seed": 0, "l2": 3.0})
    rows = {row.name: row for row in comparing.settings_of([*two, reward])}
    assert rows["l2"].values == ["–", "–", "3.0"] and not rows["l2"].is_shared
    assert rows["seed"].is_shared and not rows["seed"].differs


def test_final_figures_are_those_of_the_last_step_and_of_the_evaluation(two: list[Run]):
    rows = {row.name: [item and item.value for item in row.figures] for row in comparing.figures_of(two)}
    assert rows["Reward"] == [0.2, 1.1]  # 0.1 · 2, and 0.1 · 1 + 1
    assert rows["Distance from the reference"] == [1.0, 0.5]
    assert rows["Gold gain"] == [0.054, None]
    assert "Entropy" not in rows  # no record has it


def test_the_page_shows_both(manager: Client, two: list[Run]):
    content = manager.get(query(*two)).content.decode()
    assert all(f"RLOO {run.pk}" in content for run in two)
    assert "+0.05" in content and "compare-differs" in content and 'data-plot="reward"' in content


def test_one_run_asks_for_another(manager: Client, two: list[Run]):
    content = manager.get(query(two[0])).content.decode()
    assert f"RLOO {two[0].pk} is chosen" in content and 'data-plot="' not in content
    assert f'value="{two[0].pk}" checked' in content


def test_without_runs_it_says_so(manager: Client, project: Project):
    assert "No run yet" in manager.get(URL).content.decode()


def test_more_than_four_are_too_many(manager: Client, project: Project):
    made = [Run.objects.create(project=project, kind="scoring", state="done") for _ in range(5)]
    content = manager.get(query(*made)).content.decode()
    assert "Only the first 4 are compared" in content
    assert len(manager.get(query(*made) + "&format=json").json()["runs"]) == 4


@pytest.mark.parametrize("wrong", ["x", "-1", "9" * 30, "99999", ""])
def test_a_run_that_is_not_there_is_not_found(manager: Client, two: list[Run], wrong: str):
    assert manager.get(f"{query(two[0])}&run={wrong}").status_code == 404


def test_a_run_of_another_project_is_not_found(manager: Client, two: list[Run]):
    other = Project.objects.create(name="Other", slug="other")
    theirs = Run.objects.create(project=other, kind="policy")
    for more in ("", "&format=json", "&format=csv", "&format=csv&table=figures"):
        assert manager.get(query(two[0], theirs) + more).status_code == 404


@pytest.mark.parametrize("more", ["", "&format=json", "&format=csv", "&format=csv&table=figures"])
def test_it_rejects_outsiders_and_annotators(
    two: list[Run], mallory: User, bob: User, client_of: Callable[[User], Client], more: str
):
    assert client_of(mallory).get(query(*two) + more).status_code == 404
    assert client_of(bob).get(query(*two) + more).status_code == 403
    assert Client().get(query(*two) + more).status_code == 302


def test_the_same_as_json(manager: Client, two: list[Run]):
    found = manager.get(query(*two) + "&format=json").json()["runs"]
    assert [run["id"] for run in found] == [run.pk for run in two]
    assert [record["values"]["kl"] for record in found[0]["records"]] == [0, 0.5, 1.0]
    assert found[0]["checkpoint"]["name"] == "rloo 1" and "samples" not in found[0]


def read(response: Any) -> list[list[str]]:
    return list(csv.reader(io.StringIO(response.content.decode("utf-8-sig"))))


def test_the_same_as_csv(manager: Client, two: list[Run]):
    response = manager.get(query(*two) + "&format=csv")
    rows = read(response)
    assert rows[0][:3] == ["run", "name", "step"] and len(rows) == 1 + 3 + 2
    assert dict(zip(rows[0], rows[-1], strict=True))["reward"] == "1.1"
    assert f"support-runs-{two[0].pk}-{two[1].pk}-records.csv" in response["Content-Disposition"]
    figures = {row[0]: row[2:] for row in read(manager.get(query(*two) + "&format=csv&table=figures"))}
    assert figures["learning_rate"] == ["0.0001", "0.0002"]
    assert figures["Gold gain"] == ["0.054", ""]
    assert manager.get(query(*two) + "&format=csv&table=nonsense").status_code == 404


def test_a_spreadsheet_gets_no_formula(manager: Client, two: list[Run]):
    Run.objects.filter(pk=two[0].pk).update(config={"inputs": '=HYPERLINK("http://x")'})
    RunRecord.objects.filter(run=two[0], step=0).update(values={"reward": -0.5, "@evil": "+1+1"})
    figures = {row[0]: row[2:] for row in read(manager.get(query(*two) + "&format=csv&table=figures"))}
    assert figures["inputs"][0] == '\'=HYPERLINK("http://x")'
    rows = read(manager.get(query(*two) + "&format=csv"))
    assert "'@evil" in rows[0] and "'+1+1" in rows[1] and "-0.5" in rows[1]
