"""Who may call what: every address of the API, by everybody."""

from datetime import timedelta

import pytest
from django.test import Client
from django.urls import get_resolver
from django.utils import timezone

from annotator import tokens
from annotator.api.urls import urlpatterns
from annotator.exports import jobs
from annotator.exports.recipe import Recipe
from annotator.models import (
    Completion,
    Invitation,
    Note,
    PromptImport,
    Ranking,
    Scope,
    Webhook,
    WebhookDelivery,
)
from annotator.quality import gold
from annotator.ranking import queue
from tests.factories import make_comparison, make_member, make_prompt, make_ranking, make_user

pytestmark = pytest.mark.django_db

ALL = {"alice": 200, "bob": 200, "dana": 200, "mallory": 404, "nobody": 401}
STAFF = {**ALL, "bob": 403}
MANAGERS = {**STAFF, "dana": 403}
JUDGES = {**ALL, "dana": 403}
# What one gets who sends nothing useful: the door was open.
INVALID = {**JUDGES, "alice": 400, "bob": 400}

MANAGED = {**MANAGERS, "alice": 400}

MATRIX = [
    ("get", "", "read", {**ALL, "mallory": 200, "nobody": 200}),
    ("get", "me/", "", {**ALL, "mallory": 200}),
    ("get", "projects/", "read", {**ALL, "mallory": 200}),
    ("post", "projects/", "manage", {**MANAGED, "bob": 403, "mallory": 403}),
    ("get", "projects/support/", "read", ALL),
    ("get", "projects/support/settings/", "read", STAFF),
    ("patch", "projects/support/settings/", "manage", MANAGERS),
    ("get", "projects/support/guidelines/", "read", ALL),
    ("get", "projects/support/progress/", "read", STAFF),
    ("get", "projects/support/quality/", "read", {**STAFF, "alice": 404, "dana": 404}),
    ("get", "projects/support/events/", "read", STAFF),
    ("get", "projects/support/prompts/", "read", STAFF),
    ("post", "projects/support/prompts/", "write", MANAGED),
    ("post", "projects/support/prompts/bulk/", "write", MANAGED),
    ("get", "projects/support/prompts/{prompt}/", "read", STAFF),
    ("put", "projects/support/prompts/{prompt}/image/", "write", MANAGED),
    ("delete", "projects/support/prompts/{prompt}/image/", "write", {**MANAGERS, "alice": 204}),
    ("get", "projects/support/completions/", "read", STAFF),
    ("post", "projects/support/completions/", "write", MANAGED),
    ("get", "projects/support/imports/", "read", MANAGERS),
    ("post", "projects/support/imports/", "write", {**MANAGERS, "alice": 415}),
    ("get", "projects/support/imports/{batch}/", "read", MANAGERS),
    ("get", "projects/support/imports/{batch}/report/", "read", MANAGERS),
    ("get", "projects/support/imports/{batch}/rejects/", "read", {**MANAGERS, "alice": 404}),
    ("post", "projects/support/imports/{batch}/inspect/", "write", {**MANAGERS, "alice": 409}),
    ("post", "projects/support/imports/{batch}/start/", "write", {**MANAGERS, "alice": 409}),
    ("post", "projects/support/imports/{batch}/cancel/", "write", MANAGERS),
    ("post", "projects/support/imports/{batch}/undo/", "write", {**MANAGERS, "alice": 409}),
    ("get", "projects/support/comparisons/", "read", STAFF),
    ("post", "projects/support/comparisons/", "write", MANAGED),
    ("get", "projects/support/comparisons/{comparison}/", "read", STAFF),
    ("post", "projects/support/comparisons/{comparison}/close/", "write", MANAGERS),
    ("post", "projects/support/comparisons/{comparison}/open/", "write", MANAGERS),
    ("post", "projects/support/comparisons/{comparison}/adjudicate/", "write", MANAGED),
    ("post", "projects/support/comparisons/{comparison}/withdraw/", "write", MANAGED),
    ("post", "projects/support/comparisons/{comparison}/gold/", "write", MANAGED),
    ("get", "projects/support/rankings/", "read", STAFF),
    ("get", "projects/support/gold/", "read", STAFF),
    ("post", "projects/support/gold/{gold}/retire/", "write", MANAGERS),
    ("post", "projects/support/gold/{gold}/bring-back/", "write", MANAGERS),
    ("get", "projects/support/members/", "read", MANAGERS),
    ("post", "projects/support/members/", "manage", MANAGED),
    ("get", "projects/support/members/{member}/", "read", MANAGERS),
    ("patch", "projects/support/members/{member}/", "manage", MANAGERS),
    ("delete", "projects/support/members/{member}/", "manage", {**MANAGERS, "alice": 204}),
    ("get", "projects/support/invitations/", "read", MANAGERS),
    ("post", "projects/support/invitations/", "manage", {**MANAGERS, "alice": 201}),
    ("post", "projects/support/invitations/{invitation}/revoke/", "manage", MANAGERS),
    ("get", "projects/support/notes/", "read", MANAGERS),
    ("post", "projects/support/notes/{note}/done/", "write", MANAGERS),
    ("get", "projects/support/webhooks/", "read", MANAGERS),
    ("post", "projects/support/webhooks/", "manage", MANAGED),
    ("get", "projects/support/webhooks/{webhook}/", "read", MANAGERS),
    ("patch", "projects/support/webhooks/{webhook}/", "manage", MANAGERS),
    ("delete", "projects/support/webhooks/{webhook}/", "manage", {**MANAGERS, "alice": 204}),
    ("post", "projects/support/webhooks/{webhook}/rotate/", "manage", MANAGERS),
    ("post", "projects/support/webhooks/{webhook}/test/", "manage", {**MANAGERS, "alice": 201}),
    ("get", "projects/support/webhooks/{webhook}/deliveries/", "read", MANAGERS),
    ("post", "projects/support/webhooks/{webhook}/deliveries/{delivery}/again/", "manage", MANAGERS),
    ("get", "projects/support/exports/formats/", "read", STAFF),
    ("get", "projects/support/exports/", "read", STAFF),
    ("post", "projects/support/exports/", "read", {**STAFF, "alice": 400, "dana": 400}),
    ("get", "projects/support/exports/{export}/", "read", STAFF),
    ("delete", "projects/support/exports/{export}/", "read", {**MANAGERS, "alice": 204}),
    ("post", "projects/support/exports/{export}/cancel/", "read", MANAGERS),
    ("post", "projects/support/exports/{export}/repeat/", "read", {**STAFF, "alice": 201, "dana": 201}),
    (
        "get",
        "projects/support/exports/{export}/files/manifest.json",
        "read",
        {**STAFF, "alice": 404, "dana": 404},
    ),
    ("get", "projects/support/exports/trl/", "read", STAFF),
    ("get", "projects/support/exports/raw/", "read", STAFF),
    ("post", "projects/support/claim/", "rank", {**JUDGES, "alice": 204, "bob": 204}),
    ("post", "projects/support/renew/", "rank", INVALID),
    ("post", "projects/support/submit/", "rank", INVALID),
    ("post", "projects/support/skip/", "rank", INVALID),
    ("post", "projects/support/undo/", "rank", INVALID),
    ("get", "schema/", "", {**ALL, "mallory": 200, "nobody": 200}),
    ("get", "docs/", "", {**ALL, "mallory": 200, "nobody": 200}),
    ("get", "projects/elsewhere/", "read", {**ALL, "alice": 404, "bob": 404, "dana": 404}),
]
PROTECTED = [row for row in MATRIX if row[3]["nobody"] == 401]
SCOPED = [row for row in PROTECTED if row[2]]


@pytest.fixture
def address(project):
    """Fills the ids into a path; only the rows that it names are made."""

    def fill(path):
        ids = {}
        if "{prompt}" in path:
            ids["prompt"] = make_prompt(project).pk
        if "comparisons/{" in path or "gold/{" in path:
            comparison = make_comparison(project)
            first, second = comparison.completions.all()
            answer = gold.make(comparison, ranks={first.pk: 1, second.pk: 2})
            ids |= {"comparison": comparison.pk, "gold": answer.comparison_id}
            if path.endswith("/gold/"):
                ids["comparison"] = make_comparison(project).pk
        if "{note}" in path:
            ids["note"] = Note.objects.create(project=project, author=make_user(), text="Unclear.").pk
        if "{export}" in path:
            ids["export"] = jobs.create(project=project, recipe=Recipe("raw"), user=None, send_it=False).pk
        if "{batch}" in path:
            ids["batch"] = PromptImport.objects.create(
                project=project, name="tasks.tsv", sha256="0" * 64, file="none"
            ).pk
        if "{member}" in path:
            ids["member"] = project.memberships.get(user=make_member(project)).pk
        if "{invitation}" in path:
            ids["invitation"] = Invitation.objects.create(
                project=project, secret_hash="0" * 64, expires_at=timezone.now()
            ).pk
        if "{webhook}" in path:
            webhook = Webhook.objects.create(project=project, url="https://hooks.example.org/", salt="s")
            delivery = WebhookDelivery.objects.create(
                webhook=webhook, event="webhook.test", event_id="evt_1", body="{}", state="failed"
            )
            ids |= {"webhook": webhook.pk, "delivery": delivery.pk}
        return f"/api/{path.format(**ids)}"

    return fill


@pytest.mark.parametrize(
    ("method", "path", "name", "status"),
    [(method, path, name, status) for method, path, _, allowed in MATRIX for name, status in allowed.items()],
)
def test_the_matrix(request, client, address, project, method, path, name, status):
    if name != "nobody":
        client.force_login(request.getfixturevalue(name))
    response = getattr(client, method)(address(path), content_type="application/json")
    assert response.status_code == status


@pytest.mark.parametrize(("method", "path", "scope", "allowed"), SCOPED)
def test_a_token_needs_its_scope_and_no_other(client, address, alice, method, path, scope, allowed):
    def status(scopes):
        _, text = tokens.make(owner=alice, name="x", scopes=scopes)
        ask = getattr(Client(enforce_csrf_checks=True), method)
        headers = {"Authorization": f"Bearer {text}"}
        return ask(url, content_type="application/json", headers=headers).status_code

    url = address(path)
    assert status([one for one in Scope if one != scope]) == 403
    assert status([Scope(scope)]) == allowed["alice"]


@pytest.mark.parametrize(("method", "path", "scope", "allowed"), PROTECTED)
def test_an_expired_token_and_an_outsiders_open_nothing(
    client, address, alice, mallory, method, path, scope, allowed
):
    _, expired = tokens.make(owner=alice, name="x", scopes=list(Scope), lasts=timedelta(seconds=-1))
    _, strange = tokens.make(owner=mallory, name="x", scopes=list(Scope))
    url, ask = address(path), getattr(client, method)
    for text, status in ((expired, 401), (strange, allowed["mallory"])):
        headers = {"Authorization": f"Bearer {text}"}
        assert ask(url, content_type="application/json", headers=headers).status_code == status


def test_the_matrix_names_every_address():
    names = dict.fromkeys(
        (
            "prompt",
            "comparison",
            "gold",
            "note",
            "batch",
            "member",
            "invitation",
            "webhook",
            "delivery",
            "export",
        ),
        1,
    )
    named = {path.format(**names) for _, path, _, _ in MATRIX}
    resolver = get_resolver("annotator.api.urls")
    resolved = {resolver.resolve(f"/{path}").url_name for path in named}
    assert resolved == {pattern.name for pattern in urlpatterns}


def test_a_stranger_cannot_tell_a_project_from_none(client, project, mallory):
    client.force_login(mallory)
    assert client.get("/api/projects/support/").json() == client.get("/api/projects/elsewhere/").json()
    assert client.get("/api/projects/").json()["results"] == []


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
    make_comparison(project)
    client = Client(enforce_csrf_checks=True)
    client.force_login(bob)
    assert client.post("/api/projects/support/claim/", content_type="application/json").status_code == 403
    assert Completion.objects.count() == 2
