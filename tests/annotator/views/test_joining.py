"""Making a link, following it, and what it says when it is closed."""

import logging
import re

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from annotator import invitations
from annotator.models import Invitation, User
from annotator.site.logs import WithoutSecrets
from tests.factories import make_guideline, make_project

INVITED = {"role": "annotator", "days": "7", "places": "2", "note": "new people"}
NEW = {"username": "erin", "password1": "a-Long-enough-one", "password2": "a-Long-enough-one"}


@pytest.fixture
def link(project, alice, client_of):
    """The address a manager has been given for two annotators."""
    page = client_of(alice).post(reverse("invite", args=["support"]), INVITED).content.decode()
    return re.search(r'value="http://testserver(/join/[^"]+)"', page)[1]


def test_the_link_is_shown_once(link, alice, client_of):
    page = client_of(alice).get(reverse("members", args=["support"])).content.decode()
    assert "new people" in page
    assert link.split("/")[2] not in page


@pytest.mark.parametrize("change", [{"places": "0"}, {"places": "101"}, {"days": "365"}, {"role": "root"}])
def test_what_cannot_be_is_refused(project, alice, client_of, change):
    response = client_of(alice).post(reverse("invite", args=["support"]), INVITED | change)
    assert response.status_code == 400
    assert not Invitation.objects.exists()


def test_a_signed_in_person_sees_what_it_is_and_joins(link, project, mallory, client_of):
    make_guideline(project, "Prefer the shorter one.")
    client = client_of(mallory)
    page = client.get(link)
    for words in ("Support", "annotator", "Prefer the shorter one.", "Join"):
        assert words in page.content.decode()
    assert not project.memberships.filter(user=mallory).exists(), "looking is not joining"
    response = client.post(link)
    assert response.url == reverse("rank", args=["support"])
    assert project.memberships.get(user=mallory).role == "annotator"


def test_a_visitor_makes_an_account_and_is_in(link, project, client):
    response = client.post(link, NEW, follow=True)
    assert response.redirect_chain[-1][0] == reverse("rank", args=["support"])
    assert response.status_code == 200
    assert project.memberships.get(user__username="erin").role == "annotator"


@pytest.mark.parametrize(
    "change",
    [{"password1": "12345678", "password2": "12345678"}, {"password2": "other"}, {"username": "ALICE"}],
)
def test_a_bad_account_is_refused(link, project, client, change):
    before = User.objects.count()
    assert client.post(link, NEW | change).status_code == 400
    assert User.objects.count() == before
    assert Invitation.objects.get().places_taken == 0


def test_who_has_an_account_signs_in_and_comes_back(link, mallory, client):
    response = client.post(reverse("login"), {"username": "mallory", "password": "mallory", "next": link})
    assert response.url == link


def test_a_member_is_led_in_and_keeps_their_role(link, project, alice, client_of):
    client = client_of(alice)
    for response in (client.get(link), client.post(link)):
        assert response.url == reverse("project", args=["support"])
    assert project.memberships.get(user=alice).role == "manager"
    assert Invitation.objects.get().places_taken == 0


@pytest.mark.parametrize("state", ["unknown", "revoked", "expired", "full"])
@pytest.mark.parametrize("method", ["get", "post"])
def test_a_closed_link_does_not_say_to_what(link, project, alice, client, state, method):
    match state:
        case "unknown":
            link = reverse("join", args=["x" * 43])
        case "revoked":
            invitations.revoke(invitation=Invitation.objects.get(), by=alice)
        case "expired":
            Invitation.objects.update(expires_at=timezone.now())
        case "full":
            Invitation.objects.update(places_taken=2)
    response = getattr(client, method)(link, NEW if method == "post" else {})
    assert response.status_code == (404 if state == "unknown" else 410)
    assert "Support" not in response.content.decode()
    assert not User.objects.filter(username="erin").exists()


def test_the_secret_leaves_no_trace(link, client, caplog):
    caplog.handler.addFilter(WithoutSecrets())
    Invitation.objects.update(expires_at=timezone.now())
    with caplog.at_level(logging.INFO):
        response = client.get(link)
    assert response["Referrer-Policy"] == "strict-origin"
    assert "no-store" in response["Cache-Control"]
    assert "Gone: /join/…" in caplog.text
    assert link.split("/")[2] not in caplog.text


def test_a_link_is_joined_only_with_a_token(link, mallory):
    client = Client(enforce_csrf_checks=True)
    client.force_login(mallory)
    assert client.post(link).status_code == 403


def test_managers_revoke(link, project, alice, client_of):
    url = reverse("invitation-revoke", args=["support", Invitation.objects.get().pk])
    client_of(alice).post(url)
    assert invitations.state_of(Invitation.objects.get()) == "revoked"


def test_nobody_revokes_another_projects(link, alice, client_of):
    make_project("elsewhere").memberships.create(user=alice, role="manager")
    url = reverse("invitation-revoke", args=["elsewhere", Invitation.objects.get().pk])
    assert client_of(alice).post(url).status_code == 404
