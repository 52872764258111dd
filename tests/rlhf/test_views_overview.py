"""The first page of a project: for staff the loop, for annotators their part; and its polling."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from html import unescape
from typing import Any

from django.test import Client

from annotator import events
from annotator.models import Project, User
from rlhf.models import Checkpoint, Run
from tests.factories import make_comparison, make_prompt, make_ranking

Login = Callable[[User], Client]
URL = "/projects/support/"
HTMX = {"HX-Request": "true"}


def seen_in(content: str) -> str:
    match = re.search(r"\?seen=(\w+)", content)
    assert match is not None
    return match[1]


def test_it_shows_the_nine_stations_and_what_comes_next(alice: User, client_of: Login):
    content = client_of(alice).get(URL).content.decode()
    names = re.findall(r'station-name">(?:<a[^>]*>)?([^<]+)', content)
    assert names == [
        *("Import", "Generate", "Select", "Rank", "Snapshot"),
        *("Reward model", "Optimise", "Evaluate", "Promote"),
    ]
    assert "Waiting for tasks: import a file to begin." in content
    assert content.count('aria-current="step"') == 1


def test_htmx_gets_the_part_that_changes(alice: User, client_of: Login):
    content = client_of(alice).get(URL, headers=HTMX).content.decode()
    assert content.lstrip().startswith('<div class="stack" id="overview-live"')
    assert "<html" not in content


def test_nothing_is_sent_while_nothing_changes(alice: User, client_of: Login, project: Project):
    client = client_of(alice)
    seen = seen_in(client.get(URL).content.decode())
    assert client.get(URL, {"seen": seen}, headers=HTMX).status_code == 204
    make_prompt(project)
    response = client.get(URL, {"seen": seen}, headers=HTMX)
    assert response.status_code == 200 and seen_in(response.content.decode()) != seen


def test_the_button_of_a_station_posts_with_its_token(alice: User, project: Project):
    make_prompt(project)
    client = Client(enforce_csrf_checks=True)
    client.force_login(alice)
    content = client.get(URL).content.decode()
    token = re.search(r'name="csrfmiddlewaretoken" value="(\w+)"', content)
    assert 'action="/projects/support/runs/start/generation/"' in content and token
    url = "/projects/support/runs/start/generation/"
    assert client.post(url, {"csrfmiddlewaretoken": token[1]}).status_code == 302
    assert Run.objects.get().kind == "generation"


def test_annotators_see_their_progress_and_no_models(
    bob: User, carol: User, client_of: Login, project: Project
):
    make_comparison(project)
    make_comparison(project)
    make_comparison(project)
    make_ranking(project, bob)
    content = client_of(bob).get(URL).content.decode()
    assert "2 comparisons wait for you." in content and "/projects/support/rank/" in content
    for word in ("smollm2", "loop-stations", "Reward model", "/runs/"):
        assert word not in content
    assert "Nothing waits for you now" not in content


def test_events_are_sentences_with_links_and_hostile_names_are_shown_as_text(
    alice: User, client_of: Login, project: Project
):
    events.record(project, alice, "started", "<b>x</b>", "/projects/support/runs/1/")
    events.record(project, None, "did something to", "y", "javascript:alert(1)")
    content = client_of(alice).get(URL).content.decode()
    assert 'alice started <a href="/projects/support/runs/1/">&lt;b&gt;x&lt;/b&gt;</a>' in content
    assert "The site did something to y" in content and "javascript:" not in content


def test_the_curves_have_a_point_an_iteration(alice: User, client_of: Login, project: Project):
    for iteration, accuracy in ((1, 0.6), (2, 0.7)):
        Checkpoint.objects.create(
            project=project,
            kind="reward",
            name="r",
            base_model="b",
            iteration=iteration,
            run=Run.objects.create(project=project, kind="reward", state="done"),
            metrics={"accuracy": {"value": accuracy, "low": 0.5, "high": 0.8}},
        )
    content = client_of(alice).get(URL).content.decode()
    match = re.search(r'data-points="([^"]*)"', content)
    assert match
    assert json.loads(unescape(match[1])) == [
        {"x": 1, "values": {"accuracy": 0.6, "accuracy_low": 0.5, "accuracy_high": 0.8}},
        {"x": 2, "values": {"accuracy": 0.7, "accuracy_low": 0.5, "accuracy_high": 0.8}},
    ]


def test_polling_is_cheap(
    alice: User, client_of: Login, project: Project, django_assert_max_num_queries: Any
):
    for _ in range(5):
        make_comparison(project)
        Run.objects.create(project=project, kind="policy", state="done")
        events.record(project, alice, "started", "x")
    client = client_of(alice)
    client.get(URL)
    with django_assert_max_num_queries(26):
        client.get(URL, headers=HTMX)
