"""The page of one's tokens."""

import re

import pytest

from annotator.models import Token
from tests.factories import make_project

pytestmark = pytest.mark.django_db


@pytest.fixture
def page(client, alice):
    client.force_login(alice)
    return client


def test_a_token_is_made_shown_once_and_revoked(page, alice, project):
    data = {"name": "Training", "scopes": ["read", "score"], "project": project.pk, "days": "30"}
    shown = page.post("/account/tokens/", data).content.decode()
    (text,) = set(re.findall(r"pl_[0-9A-Za-z]{36}", shown))
    token = Token.objects.get()
    assert (token.owner, token.project, token.scopes) == (alice, project, ["read", "score"])
    assert 29 < (token.expires_at - token.created_at).days + 1 <= 30
    later = page.get("/account/tokens/")
    assert text not in later.content.decode() and token.hint in later.content.decode()
    assert "no-store" in later["Cache-Control"]
    assert page.get("/api/me/", headers={"Authorization": f"Bearer {text}"}).status_code == 200
    page.post(f"/account/tokens/{token.pk}/revoke/")
    assert page.get("/api/me/", headers={"Authorization": f"Bearer {text}"}).status_code == 401


@pytest.mark.parametrize(
    "wrong", [{"name": ""}, {"scopes": []}, {"scopes": ["all"]}, {"days": "9999"}, {"project": "0"}]
)
def test_what_is_wrong_makes_no_token(page, wrong):
    data = {"name": "Training", "scopes": ["read"], "project": "", "days": "30", **wrong}
    assert page.post("/account/tokens/", data).status_code == 400
    assert not Token.objects.exists()


def test_only_own_projects_and_own_tokens(page, client_of, mallory):
    other = make_project("elsewhere")
    data = {"name": "x", "scopes": ["read"], "project": other.pk, "days": "30"}
    assert page.post("/account/tokens/", data).status_code == 400
    page.post("/account/tokens/", {**data, "project": ""})
    token = Token.objects.get()
    stranger = client_of(mallory)
    assert "x" not in re.findall(r'scope="row">(\S+)', stranger.get("/account/tokens/").content.decode())
    assert stranger.post(f"/account/tokens/{token.pk}/revoke/").status_code == 404
    token.refresh_from_db()
    assert token.state == "active"


def test_nobody_without_an_account(client, db):
    assert client.get("/account/tokens/").status_code == 302
