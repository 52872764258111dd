"""Runs and checkpoints over the API: started with their settings, followed, ended, promoted."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.core.cache import cache
from django.test import Client

from annotator import tokens
from annotator.models import Project, Scope, User
from rlhf import runs
from rlhf.models import Checkpoint, Run, RunRecord, Score
from tests.factories import make_comparison, make_prompt, make_ranking

pytestmark = pytest.mark.django_db
Call = Callable[..., Any]


@pytest.fixture
def call(project: Project, alice: User, monkeypatch: pytest.MonkeyPatch) -> Call:
    monkeypatch.setattr(runs.app, "send_task", lambda *args, **kwargs: None)
    cache.clear()
    _, text = tokens.make(owner=alice, name="x", scopes=list(Scope))

    def ask(method: str, path: str, data: Any = None, **headers: str) -> Any:
        content = {} if data is None else {"data": data, "content_type": "application/json"}
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return getattr(Client(), method)(
            f"/api/projects/support/{path}", headers={"Authorization": f"Bearer {text}", **named}, **content
        )

    return ask


@pytest.fixture
def ranked(project: Project, bob: User) -> None:
    project.held_out_share = 0
    project.save()
    make_comparison(project)
    make_ranking(project, bob)


def policy_of(project: Project, name: str) -> Checkpoint:
    run = Run.objects.create(project=project, kind="policy", state="done")
    return Checkpoint.objects.create(
        project=project, kind="policy", name=name, base_model=project.base_model, run=run
    )


def test_a_run_is_started_once_with_its_settings(call: Call, ranked: None, alice: User) -> None:
    body = {"kind": "reward", "config": {"heads": 7}}
    made = call("post", "runs/", body, Idempotency_Key="k")
    assert made.status_code == 201, made.content
    run = Run.objects.get()
    assert run.created_by == alice and run.config["heads"] == 7 and run.config["l2"] == 10000.0
    assert made.json()["id"] == run.pk and made.json()["is_active"]
    assert call("post", "runs/", body, Idempotency_Key="k").json() == made.json()
    second = call("post", "runs/", body)
    assert (second.status_code, second.json()["code"]) == (422, "cannot_start")
    assert call("post", f"runs/{run.pk}/cancel/", {}).json()["state"] == "cancelled"
    assert call("post", f"runs/{run.pk}/cancel/", {}).status_code == 409
    assert call("post", f"runs/{run.pk}/resume/", {}).json()["state"] == "queued"
    assert [row["id"] for row in call("get", "runs/?kind=reward&state=queued").json()["results"]] == [run.pk]
    assert call("get", "runs/?kind=policy").json()["results"] == []


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"kind": "reward", "config": {"heads": 0}}, 422),
        ({"kind": "reward", "config": {"nonsense": 1}}, 422),
        ({"kind": "reward", "config": {"heads": {"a": 1}}}, 422),
        ({"kind": "reward", "tasks": 3}, 400),
        ({"kind": "dreaming"}, 400),
        ({"kind": "policy", "algorithm": "magic"}, 422),
        ({"kind": "evaluation", "new": 999}, 404),
        ({"kind": "policy", "reward": 999}, 404),
        ({"kind": "generation", "tasks": 0}, 400),
    ],
)
def test_what_cannot_be_started_makes_no_run(call: Call, ranked: None, body: Any, status: int) -> None:
    assert call("post", "runs/", body).status_code == status
    assert not Run.objects.exists()


def test_a_run_is_followed_by_its_steps(call: Call, project: Project) -> None:
    run = Run.objects.create(project=project, kind="policy", state="running", step=3, total=9)
    for step in range(1, 4):
        RunRecord.objects.create(run=run, step=step, values={"reward": step / 2})
    first = call("get", f"runs/{run.pk}/records/?page_size=2").json()
    assert [row["step"] for row in first["results"]] == [1, 2] and first["next"]
    later = call("get", f"runs/{run.pk}/records/?after=2").json()["results"]
    assert [row["values"] for row in later] == [{"reward": 1.5}]
    assert call("get", f"runs/{run.pk}/log/").json() == []
    assert call("get", f"runs/{run.pk}/results/").json() == {"samples": []}


def test_promoting_and_taking_back(call: Call, project: Project) -> None:
    new = policy_of(project, "rloo 1")
    base = runs.base_policy(project)
    assert call("post", f"checkpoints/{new.pk}/promote/", {}).status_code == 409, "nobody evaluated it"
    assert call("post", "checkpoints/revert/").status_code == 409
    promoted = call("post", f"checkpoints/{new.pk}/promote/", {"unevaluated": True}).json()
    assert promoted["writes_now"] and runs.promoted_policy(project) == new
    (row,) = call("get", "promotions/").json()["results"]
    assert (row["checkpoint"], row["former"], row["promoted_by"]) == (new.pk, base.pk, "alice")
    assert call("post", "checkpoints/revert/").json()["id"] == base.pk
    assert runs.promoted_policy(project) == base
    kinds = {
        row["name"]: row["writes_now"] for row in call("get", "checkpoints/?kind=policy").json()["results"]
    }
    assert kinds == {"rloo 1": False, base.name: True}


def test_stored_scores(call: Call, project: Project) -> None:
    comparison = make_comparison(project, make_prompt(project))
    first, second = comparison.completions.all()
    reward = Checkpoint.objects.create(project=project, kind="reward", name="r", base_model="b")
    Score.objects.create(completion=first, mean=0.5, details={"leak": False})
    Score.objects.create(completion=second, checkpoint=reward, mean=1.5, std=0.25)
    (gold,) = call("get", "scores/").json()["results"]
    assert (gold["completion"], gold["checkpoint"], gold["mean"]) == (first.pk, None, 0.5)
    (learned,) = call("get", f"scores/?kind=reward&completion={second.pk}").json()["results"]
    assert (learned["checkpoint"], learned["mean"], learned["std"]) == (reward.pk, 1.5, 0.25)
    assert call("get", "scores/?kind=live").json()["results"] == []


def test_how_often_heads_are_refitted(call: Call, project: Project) -> None:
    assert call("get", "refits/").status_code == 404
    Checkpoint.objects.create(project=project, kind="reward", name="r", base_model="b")
    assert call("put", "refits/", {"every": 7}).json()["every"] == 7
    assert call("put", "refits/", {"every": -1}).status_code == 400
    assert call("get", "refits/").json()["every"] == 7
