"""Who may call what on the model side: every address, by everybody, by session and by token."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.core.cache import cache
from django.test import Client
from django.urls import get_resolver

from annotator import tokens
from annotator.models import Project, Scope
from rlhf import runs
from rlhf.api.urls import urlpatterns
from rlhf.models import Checkpoint, Run
from tests.factories import make_project

pytestmark = pytest.mark.django_db

STAFF = {"alice": 200, "dana": 200, "bob": 403, "mallory": 404, "nobody": 401}
MANAGERS = {**STAFF, "dana": 403}
# Nothing useful is sent: the door was open.
SCORES = {**STAFF, "alice": 400, "dana": 400}

MATRIX = [
    ("post", "score/?project=support", "score", SCORES),
    ("post", "projects/support/score/", "score", SCORES),
    ("get", "projects/support/runs/", "read", STAFF),
    ("post", "projects/support/runs/", "run", {**MANAGERS, "alice": 400}),
    ("get", "projects/support/runs/{run}/", "read", STAFF),
    ("get", "projects/support/runs/{run}/results/", "read", STAFF),
    ("get", "projects/support/runs/{run}/records/", "read", STAFF),
    ("get", "projects/support/runs/{run}/samples/", "read", STAFF),
    ("get", "projects/support/runs/{run}/log/", "read", STAFF),
    ("post", "projects/support/runs/{run}/cancel/", "run", {**MANAGERS, "alice": 409}),
    ("post", "projects/support/runs/{run}/resume/", "run", MANAGERS),
    ("get", "projects/support/checkpoints/", "read", STAFF),
    ("get", "projects/support/checkpoints/{checkpoint}/", "read", STAFF),
    ("post", "projects/support/checkpoints/{checkpoint}/promote/", "run", {**MANAGERS, "alice": 409}),
    ("post", "projects/support/checkpoints/revert/", "run", {**MANAGERS, "alice": 409}),
    ("get", "projects/support/promotions/", "read", STAFF),
    ("get", "projects/support/evaluations/", "read", STAFF),
    ("get", "projects/support/snapshots/", "read", STAFF),
    ("get", "projects/support/leaderboards/", "read", STAFF),
    ("get", "projects/support/scores/", "read", STAFF),
    ("get", "projects/support/refits/", "read", STAFF),
    ("put", "projects/support/refits/", "run", {**MANAGERS, "alice": 400}),
]


@pytest.fixture(autouse=True)
def nothing_is_sent_or_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runs.app, "send_task", lambda *args, **kwargs: None)
    cache.clear()


@pytest.fixture
def ids(project: Project) -> dict[str, int]:
    run = Run.objects.create(project=project, kind="policy", state="failed")
    policy = Checkpoint.objects.create(project=project, kind="policy", name="p", base_model="b", run=run)
    trained = Run.objects.create(project=project, kind="reward", state="done")
    Checkpoint.objects.create(project=project, kind="reward", name="r", base_model="b", run=trained)
    return {"run": run.pk, "checkpoint": policy.pk}


def ask(client: Any, method: str, path: str, ids: dict[str, int], **headers: str) -> int:
    url = f"/api/{path.format(**ids)}"
    status: int = getattr(client, method)(url, content_type="application/json", headers=headers).status_code
    return status


@pytest.mark.parametrize(
    ("method", "path", "name", "status"),
    [(method, path, name, status) for method, path, _, allowed in MATRIX for name, status in allowed.items()],
)
def test_the_matrix(
    request: Any, client: Any, ids: Any, method: str, path: str, name: str, status: int
) -> None:
    if name != "nobody":
        client.force_login(request.getfixturevalue(name))
    assert ask(client, method, path, ids) == status


@pytest.mark.parametrize(("method", "path", "scope", "allowed"), MATRIX)
def test_a_token_needs_its_scope_and_no_other(
    ids: Any, alice: Any, method: str, path: str, scope: str, allowed: dict[str, int]
) -> None:
    client = Client(enforce_csrf_checks=True)
    for scopes, status in (([s for s in Scope if s != scope], 403), ([Scope(scope)], allowed["alice"])):
        _, text = tokens.make(owner=alice, name="x", scopes=scopes)
        assert ask(client, method, path, ids, Authorization=f"Bearer {text}") == status


@pytest.mark.parametrize(("method", "path", "scope", "allowed"), MATRIX)
def test_expired_strange_and_elsewhere(
    ids: Any, alice: Any, mallory: Any, method: str, path: str, scope: str, allowed: dict[str, int]
) -> None:
    other = make_project("elsewhere")
    for options, status in (
        ({"owner": alice, "lasts": timedelta(seconds=-1)}, 401),
        ({"owner": mallory}, 404),
        ({"owner": alice, "project": other}, 404),
    ):
        _, text = tokens.make(name="x", scopes=list(Scope), **options)
        assert ask(Client(), method, path, ids, Authorization=f"Bearer {text}") == status


def test_the_matrix_names_every_address() -> None:
    resolver = get_resolver("rlhf.api.urls")
    named = {path.format(run=1, checkpoint=1).partition("?")[0] for _, path, _, _ in MATRIX}
    resolved = {resolver.resolve(f"/{path}").url_name for path in named}
    assert resolved == {pattern.name for pattern in urlpatterns}
