"""A browser, and people signed in with it on the site that runs within the test."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from typing import Any
from unittest.mock import patch

import pytest
from django.conf import settings
from django.test import Client
from playwright.sync_api import Browser, Page

from annotator.models import Comparison, Project, User
from tests.browser.chromium import chromium, complaints_of
from tests.factories import make_comparison, make_prompt

DESKTOP = {"width": 1366, "height": 768}
PHONE = {"width": 390, "height": 844}
PATIENCE = 10_000  # milliseconds


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    # Playwright keeps an event loop in this thread; the tests' own queries beside it are harmless.
    with patch.dict(os.environ, DJANGO_ALLOW_ASYNC_UNSAFE="true"), chromium() as browser:
        yield browser


@pytest.fixture
def pairs(project: Project, bob: User) -> list[Comparison]:
    """Three tasks with a pair each, all for bob."""
    return [make_comparison(project, make_prompt(project, f"Task {letter}")) for letter in "PQR"]


@pytest.fixture
def four(project: Project) -> Comparison:
    """One task with four to rank."""
    project.response_format = "ranking"
    project.completions_per_comparison = 4
    project.save()
    return make_comparison(project, k=4)


@pytest.fixture
def open_as(live_server: Any, browser: Browser) -> Iterator[Callable[..., Page]]:
    """open_as(user, path, phone=…, dark=…, locale=…, motion=…): the page, signed in. No script complains."""
    contexts, complaints = [], []

    def open_page(
        user: User | None,
        path: str = "/",
        *,
        phone: bool = False,
        dark: bool = False,
        locale: str = "en-GB",
        motion: bool = False,
    ) -> Page:
        context = browser.new_context(
            base_url=live_server.url,
            viewport=PHONE if phone else DESKTOP,
            has_touch=phone,
            is_mobile=phone,
            color_scheme="dark" if dark else "light",
            locale=locale,
            reduced_motion="no-preference" if motion else "reduce",
        )
        contexts.append(context)
        context.set_default_timeout(PATIENCE)
        if user is not None:
            client = Client()
            client.force_login(user)
            session = client.cookies[settings.SESSION_COOKIE_NAME].value
            context.add_cookies(
                [{"name": settings.SESSION_COOKIE_NAME, "value": session, "url": live_server.url}]
            )
        page = context.new_page()
        complaints.append(complaints_of(page))
        page.goto(path)
        page.wait_for_load_state("networkidle")
        return page

    yield open_page
    for context in contexts:
        context.close()
    offline = ("Failed to load resource", "htmx:sendError", "htmx:afterRequest")  # htmx logs these two itself
    heard = [line for lines in complaints for line in lines if not line.startswith(offline)]
    assert heard == []
