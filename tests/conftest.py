"""The cast: alice manages, bob and carol annotate, dana researches, mallory is an outsider."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from django.test import Client

from annotator.models import Project, Role, User
from tests.factories import make_member, make_project, make_user
from tests.servers import NoPostgres, postgres, postgres_binaries


@pytest.fixture
def project(db: None) -> Project:
    """A pairwise project, one judgment wanted per comparison."""
    return make_project("support", name="Support")


@pytest.fixture
def alice(project: Project) -> User:
    return make_member(project, Role.MANAGER, make_user("alice"))


@pytest.fixture
def bob(project: Project) -> User:
    return make_member(project, Role.ANNOTATOR, make_user("bob"))


@pytest.fixture
def carol(project: Project) -> User:
    return make_member(project, Role.ANNOTATOR, make_user("carol"))


@pytest.fixture
def dana(project: Project) -> User:
    return make_member(project, Role.RESEARCHER, make_user("dana"))


@pytest.fixture
def mallory(db: None) -> User:
    return make_user("mallory")


@pytest.fixture
def client_of() -> Callable[[User], Client]:
    """A test client that is logged in as the user."""

    def login(user: User) -> Client:
        client = Client()
        client.force_login(user)
        return client

    return login


@pytest.fixture(scope="session")
def postgres_url() -> Iterator[str]:
    """The DATABASE_URL of an empty database on a PostgreSQL started for the tests."""
    try:
        postgres_binaries()
    except NoPostgres as error:
        pytest.skip(str(error))
    with postgres() as url:
        yield url
