"""Who may call what: every address of the API, by everybody."""

import pytest
from django.urls import get_resolver

from annotator.api.urls import urlpatterns
from annotator.exports import jobs
from annotator.exports.recipe import Recipe
from annotator.models import Completion, Note, Ranking
from annotator.quality import gold
from annotator.ranking import queue
from tests.factories import make_comparison, make_prompt, make_ranking, make_user

pytestmark = pytest.mark.django_db

ALL = {"alice": 200, "bob": 200, "dana": 200, "mallory": 404, "nobody": 403}
STAFF = {**ALL, "bob": 403}
MANAGERS = {**STAFF, "dana": 403}
JUDGES = {**ALL, "dana": 403}
# What a judge gets who sends nothing useful: the door was open.
INVALID = {**JUDGES, "alice": 400, "bob": 400}

MATRIX = [
    ("get", "projects/", {**ALL, "mallory": 200}),
    ("get", "projects/support/", ALL),
    ("get", "projects/support/prompts/", STAFF),
    ("get", "projects/support/prompts/{prompt}/", STAFF),
    ("get", "projects/support/comparisons/", STAFF),
    ("post", "projects/support/comparisons/{comparison}/adjudicate/", {**MANAGERS, "alice": 400}),
    ("post", "projects/support/comparisons/{comparison}/withdraw/", {**MANAGERS, "alice": 400}),
    ("post", "projects/support/comparisons/{comparison}/gold/", {**MANAGERS, "alice": 400}),
    ("get", "projects/support/gold/", STAFF),
    ("post", "projects/support/gold/{gold}/retire/", MANAGERS),
    ("post", "projects/support/gold/{gold}/bring-back/", MANAGERS),
    ("get", "projects/support/notes/", MANAGERS),
    ("post", "projects/support/notes/{note}/done/", MANAGERS),
    ("get", "projects/support/exports/trl/", STAFF),
    ("get", "projects/support/exports/raw/", STAFF),
    ("get", "projects/support/exports/", STAFF),
    ("post", "projects/support/exports/", {**STAFF, "alice": 400, "dana": 400}),
    ("get", "projects/support/exports/{export}/", STAFF),
    ("delete", "projects/support/exports/{export}/", {**MANAGERS, "alice": 204}),
    ("post", "projects/support/exports/{export}/cancel/", MANAGERS),
    ("post", "projects/support/exports/{export}/repeat/", {**STAFF, "alice": 201, "dana": 201}),
    ("get", "projects/support/exports/{export}/files/manifest.json", {**STAFF, "alice": 404, "dana": 404}),
    ("post", "projects/support/claim/", {**JUDGES, "alice": 204, "bob": 204}),
    ("post", "projects/support/renew/", INVALID),
    ("post", "projects/support/submit/", INVALID),
    ("post", "projects/support/skip/", INVALID),
    ("post", "projects/support/undo/", INVALID),
    ("get", "schema/", {**ALL, "mallory": 200, "nobody": 200}),
    ("get", "docs/", {**ALL, "mallory": 200, "nobody": 200}),
    ("get", "projects/elsewhere/", {**ALL, "alice": 404, "bob": 404, "dana": 404}),
]


@pytest.mark.parametrize(
    ("method", "path", "name", "status"),
    [(method, path, name, status) for method, path, allowed in MATRIX for name, status in allowed.items()],
)
def test_the_matrix(request, client, project, method, path, name, status):
    ids = {"prompt": make_prompt(project).pk}
    if "comparisons/{" in path or "gold/{" in path:
        comparison = make_comparison(project)
        first, second = comparison.completions.all()
        answer = gold.make(comparison, ranks={first.pk: 1, second.pk: 2})
        ids |= {"comparison": comparison.pk, "gold": answer.comparison_id}
    if "notes/{" in path:
        ids["note"] = Note.objects.create(project=project, author=make_user(), text="Unclear.").pk
    if "exports/{" in path:
        ids["export"] = jobs.create(project=project, recipe=Recipe("raw"), user=None, send_it=False).pk
    if name != "nobody":
        client.force_login(request.getfixturevalue(name))
    url = f"/api/{path.format(**ids)}"
    response = getattr(client, method)(url, content_type="application/json")
    assert response.status_code == status


def test_the_matrix_names_every_address():
    named = {path.format(prompt=1, comparison=1, gold=1, note=1, export=1) for _, path, _ in MATRIX}
    resolver = get_resolver("annotator.api.urls")
    resolved = {resolver.resolve(f"/{path}").url_name for path in named}
    assert resolved == {pattern.name for pattern in urlpatterns}


def test_a_stranger_cannot_tell_a_project_from_none(client, project, mallory):
    client.force_login(mallory)
    assert client.get("/api/projects/support/").json() == client.get("/api/projects/elsewhere/").json()
    assert client.get("/api/projects/").json() == []


def test_annotators_never_see_who_wrote_what(client, project, bob):
    prompt = make_prompt(project, held_out_examples=[{"input": "a", "output": "b"}], reference="By a person.")
    make_comparison(project, prompt)
    client.force_login(bob)
    claimed = client.post("/api/projects/support/claim/", content_type="application/json").json()
    assert set(claimed) == {"id", "task", "completions", "leased_until"}
    assert set(claimed["task"]) == {"text", "examples", "domain", "language"}
    assert all(set(shown) == {"id", "text"} for shown in claimed["completions"])


@pytest.mark.parametrize("action", ["submit", "skip", "renew"])
def test_nobody_acts_on_anothers_assignment(client, project, bob, carol, action):
    make_comparison(project)
    held = queue.claim_next(annotator=bob, project=project)
    client.force_login(carol)
    data = {"assignment": held.pk, "idempotency_key": "k", "verdict": "all_bad", "reason": "no"}
    response = client.post(f"/api/projects/support/{action}/", data, content_type="application/json")
    assert response.status_code == 404
    assert not Ranking.objects.exists()


def test_nobody_undoes_anothers_judgment(client, project, bob, carol):
    make_comparison(project)
    ranking = make_ranking(project, bob)
    client.force_login(carol)
    data = {"ranking": ranking.pk, "idempotency_key": "k"}
    assert (
        client.post("/api/projects/support/undo/", data, content_type="application/json").status_code == 404
    )
    ranking.refresh_from_db()
    assert ranking.is_live


def test_without_a_csrf_token_nothing_is_written(project, bob):
    from django.test import Client

    make_comparison(project)
    client = Client(enforce_csrf_checks=True)
    client.force_login(bob)
    assert client.post("/api/projects/support/claim/", content_type="application/json").status_code == 403
    assert Completion.objects.count() == 2
