"""The checkpoints as JSON and CSV."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable

from django.test import Client

from annotator.models import Project, User
from rlhf import promotion, runs
from rlhf.models import Checkpoint, Evaluation, Run

URL = "/projects/support/models/data/"


def make(project: Project, name: str = "rloo 1") -> Checkpoint:
    base = runs.base_policy(project)
    policy = Checkpoint.objects.create(
        project=project,
        kind="policy",
        name=name,
        base_model=project.base_model,
        parent=base,
        run=Run.objects.create(project=project, kind="policy", state="done"),
        config={"algorithm": "rloo"},
        metrics={"kl": 1.5, "curve": {"points": []}},
    )
    for value in (0.01, 0.054):  # the newest counts
        Evaluation.objects.create(
            run=Run.objects.create(project=project, kind="evaluation", state="done"),
            old=base,
            new=policy,
            result={"gold": {"difference": {"value": value, "low": 0.02, "high": 0.1}}},
        )
    Checkpoint.objects.create(
        project=project,
        kind="reward",
        name="reward 1",
        base_model=project.base_model,
        metrics={"accuracy": {"value": 0.6, "low": 0.5, "high": 0.7}},
    )
    return policy


def test_json_has_all_that_is_known(project: Project, alice: User, client_of: Callable[[User], Client]):
    policy = make(project)
    promotion.promote(policy, user=alice)
    Checkpoint.objects.create(
        project=Project.objects.create(name="O", slug="o"), kind="policy", name="theirs"
    )
    base, found, reward = client_of(alice).get(URL).json()["checkpoints"]
    assert (found["name"], found["parent"], found["algorithm"]) == ("rloo 1", base["id"], "rloo")
    assert (found["writes_now"], found["promoted_by"], base["writes_now"]) == (True, "alice", False)
    assert found["metrics"]["kl"] == 1.5
    assert found["evaluation"]["result"]["gold"]["difference"]["value"] == 0.054
    assert reward["evaluation"] is None


def test_csv_has_a_line_a_checkpoint_and_no_formula(
    project: Project, alice: User, client_of: Callable[[User], Client]
):
    make(project, name="=1+1")
    response = client_of(alice).get(f"{URL}?format=csv")
    assert 'filename="support-models.csv"' in response["Content-Disposition"]
    rows = list(csv.DictReader(io.StringIO(response.content.decode("utf-8-sig"))))
    base, policy, reward = rows
    assert policy["name"] == "'=1+1" and policy["kl"] == "1.5" and "curve" not in policy
    assert (policy["gold_gain"], policy["gold_gain_low"], policy["reward_gain"]) == ("0.054", "0.02", "")
    assert (policy["compared_with"], base["gold_gain"], reward["accuracy"]) == (base["id"], "", "0.6")


def test_promotions_come_out_with_the_figures_of_their_day(
    project: Project, alice: User, client_of: Callable[[User], Client]
):
    policy = make(project)
    promotion.promote(policy, user=alice)
    base = runs.base_policy(project)
    promotion.promote(base, user=alice)
    back, first = client_of(alice).get(URL).json()["promotions"]
    assert (first["name"], first["former"], first["promoted_by"]) == ("rloo 1", base.pk, "alice")
    assert first["figures"]["gold_gain"]["value"] == 0.054
    assert (back["checkpoint"], back["former"], back["evaluation_run"]) == (base.pk, policy.pk, None)
    response = client_of(alice).get(f"{URL}?format=csv&table=promotions")
    assert 'filename="support-promotions.csv"' in response["Content-Disposition"]
    rows = list(csv.DictReader(io.StringIO(response.content.decode("utf-8-sig"))))
    assert [row["gold_gain_low"] for row in rows] == ["", "0.02"]
    assert [row["former"] for row in rows] == [str(policy.pk), str(base.pk)]


def test_it_rejects_outsiders_and_annotators(
    project: Project, mallory: User, bob: User, client_of: Callable[[User], Client]
):
    for more in ("", "?format=csv", "?format=csv&table=promotions", "?download"):
        assert client_of(mallory).get(URL + more).status_code == 404
        assert client_of(bob).get(URL + more).status_code == 403
