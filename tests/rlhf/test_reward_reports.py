"""A reward model's report on its run's page: verdict, pictures, names, links, tables, what is missing."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client

from annotator.models import Completion, Project, User
from annotator.names import Names
from annotator.pseudonyms import pseudonym
from rlhf import diagrams, reward_reports
from rlhf.models import Checkpoint
from rlhf.report_tables import TABLES
from rlhf.reward_reports import reward_report
from tests.reward_runs import make_rankings, make_reward

HOSTILE = "<script>alert(1)</script> 整理包裹 " + "长" * 900
Login = Callable[[User], Client]


def interval(value: float, low: float, high: float) -> dict[str, float]:
    return {"value": value, "low": low, "high": high}


ABOVE = interval(0.1, 0.01, 0.2)


@pytest.fixture
def reward(project: Project, bob: User, carol: User, settings: Any, tmp_path: Any) -> Checkpoint:
    settings.VAR = tmp_path
    make_rankings(project, bob, carol)
    for row in Completion.objects.filter(prompt__project=project, prompt__is_held_out=True):
        row.text = f"{row.pk} {HOSTILE}"
        row.save()
    return make_reward(project)


def page(client: Client, checkpoint: Checkpoint) -> str:
    assert checkpoint.run is not None
    response = client.get(checkpoint.run.get_absolute_url())
    assert response.status_code == 200
    return response.content.decode()


def rows_of(client: Client, checkpoint: Checkpoint, table: str) -> list[dict[str, str]]:
    assert checkpoint.run is not None
    response = client.get(f"{checkpoint.run.get_absolute_url()}tables/{table}/")
    assert response.status_code == 200
    return list(csv.DictReader(io.StringIO(response.content.decode("utf-8-sig"))))


def test_the_page_shows_every_part(reward: Checkpoint, alice: User, client_of: Login):
    content = page(client_of(alice), reward)
    for words in (
        "Previous reward model",
        "reward 0",
        "What more rankings would bring",
        "How sure it was, and how often it was right",
        "Where it is right",
        "How reliable it takes its annotators to be",
        "Judgments it contradicts most",
        "Which was preferred",
        "Simplified Chinese",
        "much better",
    ):
        assert words in content, words
    assert content.count('class="diagram"') == 2
    for table in TABLES:
        if table != "selection":
            assert f"/tables/{table}/" in content
    assert "style=" not in content[content.find("<main") :]


def test_texts_are_escaped_and_clipped_and_lead_to_their_comparison(
    reward: Checkpoint, alice: User, client_of: Login
):
    content = page(client_of(alice), reward)
    assert "&lt;script&gt;alert(1)&lt;/script&gt; 整理包裹" in content
    assert "<script>alert(1)" not in content and "长" * 400 not in content
    report = reward_report(reward, Names(reward.project, alice).by_pseudonym())
    assert report.contradicted
    for one in report.contradicted:
        assert one.probability < 0.5 and one.margin > 0
        assert one.comparison is not None and one.comparison.prompt.is_held_out
        assert one.who in ("bob", "carol")
        assert f"/comparisons/{one.comparison.pk}/" in content


def test_annotators_have_names_on_the_page_and_pseudonyms_in_the_json(
    reward: Checkpoint, alice: User, bob: User, project: Project, client_of: Login
):
    def names() -> set[str]:
        report = reward_report(reward, Names(project, alice).by_pseudonym())
        return {row.figure.label for row in report.annotators}

    assert names() == {"bob", "carol"}
    project.memberships.filter(user=bob).delete()
    assert pseudonym(project, bob.pk) in names()
    response = client_of(alice).get(f"{reward.run.get_absolute_url()}data/?download")
    metrics = json.loads(response.content)["checkpoint"]["metrics"]
    assert {row["annotator"] for row in metrics["annotators"]} >= {pseudonym(project, bob.pk)}
    assert metrics["curve"]["points"][-1]["tasks"] == 16
    assert {"gains", "slices", "contradicted", "bins", "selection", "previous"} <= metrics.keys()


def test_researchers_read_pseudonyms(
    reward: Checkpoint, bob: User, carol: User, dana: User, project: Project, client_of: Login
):
    client = client_of(dana)
    content = page(client, reward)
    assert pseudonym(project, bob.pk) in content
    for table in ("annotators", "contradicted"):
        found = {row["annotator"] for row in rows_of(client, reward, table)}
        assert found <= {pseudonym(project, user.pk) for user in (bob, carol)} and found
    assert "bob" not in content and "carol" not in content


def test_tables_are_files(reward: Checkpoint, alice: User, client_of: Login):
    client, metrics = client_of(alice), reward.metrics
    figures = {row["figure"]: row for row in rows_of(client, reward, "figures")}
    assert float(figures["accuracy"]["value"]) == metrics["accuracy"]["value"]
    assert float(figures["gain_on_previous"]["low"]) == metrics["gains"]["previous"]["low"]
    curve = rows_of(client, reward, "curve")
    assert [row["forecast"] for row in curve] == ["0", "0", "0", "0", "1"]
    assert [int(row["tasks"]) for row in curve] == [2, 4, 8, 16, 32]
    assert {row["annotator"] for row in rows_of(client, reward, "annotators")} == {"bob", "carol"}
    assert len(rows_of(client, reward, "slices")) == len(metrics["slices"])
    assert len(rows_of(client, reward, "calibration")) == len(metrics["bins"])
    assert len(rows_of(client, reward, "contradicted")) == len(metrics["contradicted"])
    assert rows_of(client, reward, "selection")[0]["rule"] == "random"
    assert client.get(f"{reward.run.get_absolute_url()}tables/nothing/").status_code == 404


def test_outsiders_and_annotators_get_no_table(
    reward: Checkpoint, mallory: User, bob: User, dana: User, client_of: Login
):
    for table in TABLES:
        url = f"{reward.run.get_absolute_url()}tables/{table}/"
        assert client_of(mallory).get(url).status_code == 404
        assert client_of(bob).get(url).status_code == 403
        assert client_of(dana).get(url).status_code == 200


def test_one_annotator_and_no_previous_model(
    project: Project, bob: User, alice: User, client_of: Login, settings: Any, tmp_path: Any
):
    settings.VAR = tmp_path
    make_rankings(project, bob)
    checkpoint = make_reward(project, previous=False)
    labels = [row.figure.label for row in reward_report(checkpoint).whiskers]
    assert labels == ["Reward model", "The longer one wins", "Words alone (TF-IDF)"]
    content = page(client_of(alice), checkpoint)
    assert "No two annotators have judged the same" in content and "Previous reward model" not in content


def test_without_held_out_tasks_only_facts_are_shown(
    project: Project, bob: User, carol: User, alice: User, client_of: Login, settings: Any, tmp_path: Any
):
    settings.VAR = tmp_path
    make_rankings(project, bob, carol, held_out=0)
    content = page(client_of(alice), make_reward(project, previous=False))
    assert "There was no held-out pair to judge it by." in content
    assert "diagram" not in content and "Where it is right" not in content
    assert "How reliable it takes its annotators to be" in content


@pytest.mark.parametrize(
    ("metrics", "words"),
    [
        (
            {"gains": {"longer": interval(0.1, 0.01, 0.2), "tfidf": interval(0.1, 0.01, 0.2)}},
            "better than both",
        ),
        ({"gains": {"longer": interval(0.1, 0.01, 0.2), "tfidf": interval(0, -0.1, 0.1)}}, "not shown"),
        ({"gains": {"previous": interval(0.1, 0.01, 0.2)}}, "better than the previous"),
        ({"gains": {"previous": interval(-0.1, -0.2, -0.01)}}, "worse than the previous"),
        ({"gains": {"previous": interval(0.1, -0.01, 0.2)}}, "cannot be told from the previous"),
        ({"previous_model": {"id": 1, "name": "reward 1"}}, "could not be read"),
        ({"simulated_share": 1}, "none of this speaks of people"),
        ({"held_out_tasks": 1}, "1 held-out task only"),
    ],
)
def test_remarks_say_what_the_figures_allow(metrics: dict[str, Any], words: str):
    report = reward_report(Checkpoint(metrics={"accuracy": interval(0.6, 0.5, 0.7), **metrics}))
    assert any(words in remark for remark in report.remarks), report.remarks


def test_reports_of_before_are_still_shown():
    """Before, η was a dictionary and a contradiction named no texts."""
    old = {"reliability": {"a": 0.9}, "contradicted": [{"judgment_id": "1", "task_id": "1", "margin": 1.0}]}
    report = reward_report(Checkpoint(metrics={"accuracy": interval(0.6, 0.5, 0.7), **old}))
    assert (report.annotators, report.contradicted) == ([], [])


def test_slices_are_in_the_order_of_their_numbers():
    rows = [
        {"by": "length", "name": name, "pairs": 1, "accuracy": interval(1, 1, 1), "is_small": True}
        for name in ("400+", "50-99", "0-49", "100-199")
    ]
    [group] = reward_report(Checkpoint(metrics={"slices": rows})).groups
    assert [row.figure.label for row in group.rows] == [
        "0–49 characters",
        "50–99 characters",
        "100–199 characters",
        "400+ characters",
    ]
    assert reward_reports.slice_name("strength", "3") == "much better"


def test_the_curve_is_drawn_to_scale():
    def point(n: int, value: float) -> dict[str, Any]:
        return {"share": 1, "tasks": n, "rankings": n, "accuracy": interval(value, value, value)}

    curve = {
        "points": [point(10, 0.5), point(20, 0.6)],
        "forecast_rankings": 40,
        "forecast": interval(0.7, 0.6, 0.7),
    }
    diagram = diagrams.curve_diagram(curve, 0.75)
    assert [(dot.x, dot.y) for dot in diagram.dots] == [(16.67, 100), (50, 60), (83.33, 20)]
    assert diagram.level == 0
    assert diagram.y_ticks == [
        (100, "50 %"),
        (80, "55 %"),
        (60, "60 %"),
        (40, "65 %"),
        (20, "70 %"),
        (0, "75 %"),
    ]
    assert diagram.ahead_band == "50,60 83.33,20 83.33,60 50,60"


def test_a_reliability_diagram_has_the_diagonal_and_larger_dots_for_more_pairs():
    bins = [
        {"confidence": 0.5, "accuracy": 0.5, "count": 25, "interval": None},
        {"confidence": 0.75, "accuracy": 1.0, "count": 100, "interval": interval(1.0, 0.9, 1.0)},
    ]
    diagram = diagrams.reliability_diagram(bins)
    assert diagram.diagonal == (0, 100, 100, 0)
    first, second = diagram.dots
    assert (first.x, first.y, first.radius) == (0, 100, 7)
    assert (second.x, second.y, second.y_low, second.radius) == (50, 0, 20, 10)
