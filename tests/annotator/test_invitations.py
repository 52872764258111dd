"""Places are never exceeded, dead links stay dead, and nobody's role changes by a link."""

import hashlib
from datetime import timedelta

import pytest
from django.utils import timezone

from annotator import invitations
from annotator.models import Event, Invitation, Membership, Role
from annotator.site.logs import without_secrets
from tests.annotator.ranking.test_concurrency import together
from tests.factories import make_user

pytestmark = pytest.mark.django_db
DAY = timedelta(days=1)


@pytest.fixture
def make(project, alice):
    def make_one(**values):
        values.setdefault("role", Role.ANNOTATOR)
        return invitations.make(project=project, by=alice, lasts=DAY, **values)

    return make_one


def roles(project):
    return dict(project.memberships.values_list("user__username", "role"))


def test_only_a_hash_of_the_secret_is_stored(make):
    invitation, secret = make(note="for the team")
    assert len(secret) == 43  # 32 bytes
    row = Invitation.objects.values().get()
    assert row["secret_hash"] == hashlib.sha256(secret.encode()).hexdigest()
    assert secret not in str(row)
    assert secret not in str(list(Event.objects.values()))
    assert invitations.find(secret) == invitation
    assert invitations.find(secret + "x") is None


def test_who_accepts_has_the_role_and_a_place_is_gone(make, project, mallory):
    invitation, _ = make(role=Role.RESEARCHER, places=2)
    invitations.accept(invitation=invitation, user=mallory)
    invitation.refresh_from_db()
    assert roles(project)["mallory"] == "researcher"
    assert invitation.places_taken == 1
    assert list(Event.objects.values_list("verb", flat=True)) == [
        "joined by invitation",
        "made an invitation",
    ]


def test_joining_twice_takes_one_place(make, mallory):
    invitation, _ = make()
    first = invitations.accept(invitation=invitation, user=mallory)
    assert invitations.accept(invitation=invitation, user=mallory) == first
    invitation.refresh_from_db()
    assert invitation.places_taken == 1


@pytest.mark.parametrize("role", [Role.MANAGER, Role.ANNOTATOR])
def test_no_link_changes_a_members_role(make, project, alice, bob, role):
    invitation, _ = make(role=role)
    for user in (alice, bob):
        invitations.accept(invitation=invitation, user=user)
    assert roles(project) == {"alice": "manager", "bob": "annotator"}
    invitation.refresh_from_db()
    assert invitation.places_taken == 0


def test_a_paused_member_stays_paused(make, project, bob):
    project.memberships.filter(user=bob).update(paused_at=timezone.now())
    invitation, _ = make()
    assert invitations.accept(invitation=invitation, user=bob).paused_at is not None


@pytest.mark.parametrize("state", ["full", "expired", "revoked"])
def test_a_closed_one_lets_nobody_in(make, project, alice, mallory, state):
    invitation, _ = make()
    assert invitations.state_of(invitation) == "open"
    match state:
        case "full":
            invitations.accept(invitation=invitation, user=make_user())
        case "expired":
            Invitation.objects.update(expires_at=timezone.now() - timedelta(seconds=1))
        case "revoked":
            assert invitations.revoke(invitation=invitation, by=alice)
            assert not invitations.revoke(invitation=invitation, by=alice)
    with pytest.raises(invitations.NotOpen) as refused:
        invitations.accept(invitation=invitation, user=mallory)
    assert refused.value.state == state
    assert "mallory" not in roles(project)


@pytest.mark.django_db(transaction=True)
def test_many_at_once_never_exceed_the_places(make, project):
    invitation, _ = make(places=3)
    people = [make_user() for _ in range(8)]

    def joins(user):
        def join():
            try:
                return invitations.accept(invitation=Invitation.objects.get(), user=user).pk
            except invitations.NotOpen as error:
                return error.state

        return join

    results = together(*map(joins, people))
    assert results.count("full") == 5
    invitation.refresh_from_db()
    assert invitation.places_taken == 3
    assert project.memberships.filter(role=Role.ANNOTATOR).count() == 3


@pytest.mark.django_db(transaction=True)
def test_one_person_many_times_at_once_takes_one_place(make, mallory):
    invitation, _ = make(places=2)

    def join():
        return invitations.accept(invitation=Invitation.objects.get(), user=mallory).pk

    assert len(set(together(*[join] * 6))) == 1
    invitation.refresh_from_db()
    assert invitation.places_taken == 1
    assert Membership.objects.filter(user=mallory).count() == 1


@pytest.mark.parametrize(
    "line",
    [
        '"GET /join/SECRET/ HTTP/1.1" 200',
        "Gone: /join/SECRET/",
        "/login/?next=/join/SECRET/",
        "%2Fjoin%2FSECRET%2F",
    ],
)
def test_no_log_shows_a_secret(line):
    assert "SECRET" not in without_secrets(line)
