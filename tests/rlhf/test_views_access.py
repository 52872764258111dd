"""Who may open and send what: each URL of the model side with each of the cast."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client
from django.urls import URLPattern

from annotator.models import Project, User
from rlhf import runs
from rlhf.models import Checkpoint, Evaluation, Run
from rlhf.urls import urlpatterns

Login = Callable[[User], Client]

PAGES = {  # what a member may open; annotators only the first
    "project": "/projects/support/",
    "runs": "/projects/support/runs/",
    "runs-compare": "/projects/support/runs/compare/",
    "run": "/projects/support/runs/{run}/",
    "run-log": "/projects/support/runs/{run}/log/",
    "run-data": "/projects/support/runs/{run}/data/",
    "run-table": "/projects/support/runs/{reward}/tables/figures/",
    "models": "/projects/support/models/",
    "models-data": "/projects/support/models/data/",
    "leaderboard": "/projects/support/models/leaderboard/",
}
FORMS = {  # managers alone
    "run-start": "/projects/support/runs/start/reward/",
    "promote": "/projects/support/models/{checkpoint}/promote/",
}
POSTS = {  # managers alone, and only by POST
    "run-cancel": "/projects/support/runs/{run}/cancel/",
    "run-resume": "/projects/support/runs/{run}/resume/",
    "refits": "/projects/support/models/refits/",
    "evaluation-ask": "/projects/support/runs/{evaluation}/ask/",
}


@pytest.fixture(autouse=True)
def nothing_is_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runs.app, "send_task", lambda *args, **kwargs: None)


@pytest.fixture
def ids(project: Project) -> dict[str, int]:
    run = Run.objects.create(project=project, kind=Run.Kind.POLICY, total=4)
    checkpoint = Checkpoint.objects.create(
        project=project, kind="policy", name="new", base_model="b", run=run
    )
    reward_run = Run.objects.create(project=project, kind=Run.Kind.REWARD, state=Run.State.DONE)
    Checkpoint.objects.create(project=project, kind="reward", name="r", base_model="b", run=reward_run)
    evaluation_run = Run.objects.create(project=project, kind=Run.Kind.EVALUATION, state=Run.State.DONE)
    Evaluation.objects.create(run=evaluation_run, old=runs.base_policy(project), new=checkpoint)
    return {
        "run": run.pk,
        "checkpoint": checkpoint.pk,
        "reward": reward_run.pk,
        "evaluation": evaluation_run.pk,
    }


def urls(ids: dict[str, int], *tables: dict[str, str]) -> list[str]:
    return [url.format(**ids) for table in tables for url in table.values()]


def test_the_tables_above_are_complete():
    names = {pattern.name for pattern in urlpatterns if isinstance(pattern, URLPattern)}
    assert names == {*PAGES, *FORMS, *POSTS}


def test_everybody_signs_in_first(ids: dict[str, int]):
    for url in urls(ids, PAGES, FORMS):
        response = Client().get(url)
        assert (response.status_code, response["Location"]) == (302, f"/login/?next={url}")
    for url in urls(ids, POSTS, FORMS):
        assert Client().post(url).status_code == 302


def test_it_rejects_outsiders(ids: dict[str, int], mallory: User, client_of: Login):
    client = client_of(mallory)
    for url in urls(ids, PAGES, FORMS):
        assert client.get(url).status_code == 404, url
    for url in urls(ids, POSTS, FORMS):
        assert client.post(url).status_code == 404, url
    assert Run.objects.get(kind=Run.Kind.POLICY).state == Run.State.QUEUED


def test_annotators_see_only_their_part(ids: dict[str, int], bob: User, client_of: Login):
    client = client_of(bob)
    for name, url in PAGES.items():
        assert client.get(url.format(**ids)).status_code == (200 if name == "project" else 403), url
    for url in urls(ids, POSTS, FORMS):
        assert client.post(url).status_code == 403, url


def test_researchers_see_all_and_start_nothing(ids: dict[str, int], dana: User, client_of: Login):
    client = client_of(dana)
    for url in urls(ids, PAGES):
        response = client.get(url)
        assert response.status_code == 200, url
        assert b'method="post"' not in _main(response), url
    for url in urls(ids, POSTS, FORMS):
        assert client.post(url).status_code == 403, url
    assert not Run.objects.filter(cancel_requested=True).exists()


def test_managers_open_everything(ids: dict[str, int], alice: User, client_of: Login):
    for url in urls(ids, PAGES, FORMS):
        assert client_of(alice).get(url).status_code == 200, url


def test_what_changes_something_is_only_posted(ids: dict[str, int], alice: User, client_of: Login):
    for url in urls(ids, POSTS):
        assert client_of(alice).get(url).status_code == 405, url
    for url in urls(ids, PAGES):
        assert client_of(alice).post(url).status_code == 405, url


def test_a_post_without_its_token_is_refused(ids: dict[str, int], alice: User):
    client = Client(enforce_csrf_checks=True)
    client.force_login(alice)
    for url in urls(ids, POSTS, FORMS):
        assert client.post(url).status_code == 403, url


def test_rows_of_another_project_are_not_there(
    ids: dict[str, int], alice: User, client_of: Login, project: Project
):
    other = Project.objects.create(name="Other", slug="other")
    run = Run.objects.create(project=other, kind=Run.Kind.POLICY)
    checkpoint = runs.base_policy(other)
    client = client_of(alice)
    assert client.get(f"/projects/support/runs/{run.pk}/").status_code == 404
    assert client.post(f"/projects/support/runs/{run.pk}/cancel/").status_code == 404
    assert client.post(f"/projects/support/models/{checkpoint.pk}/promote/").status_code == 404
    assert client.get(f"/projects/support/models/{checkpoint.pk}/promote/").status_code == 404
    assert client.post(f"/projects/support/runs/{run.pk}/ask/").status_code == 404
    assert client.get("/projects/support/runs/start/nonsense/").status_code == 404


def _main(response: Any) -> bytes:
    """The page without its header."""
    content: bytes = response.content
    return content[content.find(b"<main") :]
