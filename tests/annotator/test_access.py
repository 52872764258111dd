"""Outsiders see nothing, members what their role allows."""

import pytest
from django.contrib.auth.models import AnonymousUser
from django.core.exceptions import PermissionDenied
from django.http import Http404

from annotator.access import JUDGES, MANAGERS, STAFF, entry, has_role, membership_of, project_for
from annotator.models import Role
from tests.factories import make_member, make_user


@pytest.mark.parametrize(
    ("name", "roles", "outcome"),
    [
        ("alice", (), "in"),
        ("bob", (), "in"),
        ("dana", (), "in"),
        ("mallory", (), 404),
        ("alice", MANAGERS, "in"),
        ("bob", MANAGERS, 403),
        ("dana", MANAGERS, 403),
        ("mallory", MANAGERS, 404),
        ("alice", STAFF, "in"),
        ("bob", STAFF, 403),
        ("dana", STAFF, "in"),
        ("alice", JUDGES, "in"),
        ("bob", JUDGES, "in"),
        ("dana", JUDGES, 403),
    ],
)
def test_roles(request, project, name, roles, outcome):
    user = request.getfixturevalue(name)
    if outcome == "in":
        assert project_for(user, "support", *roles) == project
    else:
        with pytest.raises(Http404 if outcome == 404 else PermissionDenied):
            project_for(user, "support", *roles)


def test_an_unknown_project_looks_like_one_that_is_not_mine(project, alice, mallory):
    with pytest.raises(Http404) as unknown:
        project_for(alice, "nowhere")
    with pytest.raises(Http404) as not_mine:
        project_for(mallory, "support")
    assert str(unknown.value) == str(not_mine.value)


def test_a_superuser_passes_everywhere(project):
    root = make_user("root", is_superuser=True)
    assert project_for(root, "support", Role.MANAGER) == project
    assert membership_of(root, project) is None


def test_who_is_not_signed_in_has_no_role(project):
    assert membership_of(AnonymousUser(), project) is None
    with pytest.raises(Http404):
        project_for(AnonymousUser(), "support")


def test_a_disabled_account_has_no_role(project, alice):
    alice.is_active = False
    alice.save()
    assert not has_role(alice, project)


def test_the_project_and_my_part_in_it_are_one_query(project, bob, django_assert_num_queries):
    with django_assert_num_queries(1):
        found, membership = entry(bob, "support", *JUDGES)
    assert found == project
    assert membership is not None
    assert membership.user_id == bob.pk


def test_a_superuser_keeps_every_right_whatever_the_role_is(project):
    root = make_member(project, Role.ANNOTATOR, make_user("root", is_superuser=True))
    assert entry(root, "support", *MANAGERS)[0] == project
    stranger = make_user("other-root", is_superuser=True)
    assert entry(stranger, "support", *MANAGERS) == (project, None)
