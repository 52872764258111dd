"""Who is let in by a token, and what for: never more than its owner may do now."""

import base64
from datetime import timedelta

import pytest
from django.utils import timezone

from annotator import tokens
from annotator.models import Membership, Role, Scope, Token
from tests.factories import make_comparison, make_member, make_project

pytestmark = pytest.mark.django_db


def test_a_token_says_what_it_is(by_token, alice, project):
    me = by_token(alice, [Scope.SCORE], project=project, lasts=timedelta(days=1))("get", "me/").json()
    assert me["username"] == "alice" and me["memberships"] == [{"project": "support", "role": "manager"}]
    assert me["token"]["scopes"] == ["score"] and me["token"]["project"] == "support"
    assert not me["may_create_projects"], "a token of one project founds no other"


def test_it_needs_the_scope_and_its_owners_role(by_token, alice, bob, project):
    make_comparison(project)
    assert by_token(bob, [Scope.RANK])("post", "projects/support/claim/", {}).status_code == 200
    refused = by_token(bob, [Scope.READ])("post", "projects/support/claim/", {})
    assert (refused.status_code, refused.json()["detail"]) == (403, "This token has not the scope “rank”.")
    everything = by_token(bob)
    assert everything("get", "projects/support/prompts/").status_code == 403
    assert everything("patch", "projects/support/settings/", {"name": "Mine"}).status_code == 403
    reads = by_token(alice, [Scope.READ])
    assert reads("get", "projects/support/prompts/").status_code == 200
    assert reads("patch", "projects/support/settings/", {"name": "New"}).status_code == 403
    assert by_token(alice, [Scope.MANAGE])("get", "projects/support/prompts/").status_code == 403


def test_it_loses_what_its_owner_loses(by_token, alice, project):
    call = by_token(alice)
    assert call("get", "projects/support/settings/").status_code == 200
    Membership.objects.filter(user=alice).update(role=Role.ANNOTATOR)
    assert call("get", "projects/support/settings/").status_code == 403
    Membership.objects.filter(user=alice).delete()
    assert call("get", "projects/support/settings/").status_code == 404
    alice.is_active = False
    alice.save()
    assert call("get", "me/").status_code == 401


def test_one_project_is_one_project(by_token, alice, project):
    other = make_project("elsewhere")
    make_member(other, Role.MANAGER, alice)
    call = by_token(alice, project=project)
    assert [row["slug"] for row in call("get", "projects/").json()["results"]] == ["support"]
    assert call("get", "projects/elsewhere/settings/").status_code == 404
    assert call("post", "projects/", {"name": "A third"}).status_code == 403
    assert len(by_token(alice)("get", "projects/").json()["results"]) == 2


@pytest.mark.parametrize("change", [{"expires_at": timezone.now()}, {"revoked_at": timezone.now()}])
def test_an_ended_token_is_like_an_unknown_one(by_token, alice, change):
    call = by_token(alice)
    Token.objects.update(**change)
    ended = call("get", "me/")
    unknown = by_token(alice)("get", "me/", Authorization="Bearer pl_" + "0" * 36)
    assert ended.status_code == unknown.status_code == 401
    assert ended.json() == unknown.json()
    assert ended["WWW-Authenticate"] == 'Bearer realm="api"'


def test_the_password_of_an_address_will_do(client, alice, project):
    _, text = tokens.make(owner=alice, name="cluster", scopes=[Scope.READ])

    def get(userinfo):
        value = base64.b64encode(userinfo.encode()).decode()
        return client.get("/api/projects/support/", headers={"Authorization": f"Basic {value}"}).status_code

    assert get(f"token:{text}") == 200
    assert get(f":{text}") == 200
    assert get(f"{text}:") == get("alice:alice") == 401
    assert client.get("/api/me/", headers={"Authorization": "Basic ***"}).status_code == 401


def test_a_wrong_token_does_not_fall_back_to_the_session(client, alice, project):
    client.force_login(alice)
    assert client.get("/api/me/").status_code == 200
    assert client.get("/api/me/", headers={"Authorization": "Bearer pl_wrong"}).status_code == 401


def test_the_last_use_is_noted(by_token, alice):
    by_token(alice)("get", "me/")
    assert Token.objects.get().last_used_at is not None
