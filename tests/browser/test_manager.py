"""A manager runs the whole loop through the pages: tiny model, real Redis, workers and server."""

from __future__ import annotations

import json
import re
import socket
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from annotator.site import servers
from annotator.site.throwaway import Site, throwaway
from tests.browser.chromium import chromium, complaints_of
from tests.tiny import make_tiny_model

pytestmark = pytest.mark.real

PATIENCE = 60_000  # milliseconds; the first run waits for the worker to import torch
CREATE = """
from django.contrib.auth.models import Permission
from annotator.models import User
alice = User.objects.create_user("alice", password="alice")
alice.user_permissions.add(Permission.objects.get(codename="add_project"))
"""


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    """An installation with one person who may create projects; everything it needs runs."""
    model = make_tiny_model(tmp_path / "tiny")
    with throwaway(models=tmp_path / "models", MODEL=str(model), OMP_NUM_THREADS="2") as made:
        done = made.manage("shell", "-c", CREATE)
        assert done.returncode == 0, done.stderr
        made.start_redis()
        made.start_worker("model")
        made.start_worker("light")
        yield made


@pytest.fixture
def address(site: Site) -> str:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    site.start("web", servers.web_command(host="127.0.0.1", port=port, threads=8))
    url = f"http://127.0.0.1:{port}"
    for _ in range(200):
        try:
            urllib.request.urlopen(f"{url}/login/", timeout=5).close()
            return url
        except OSError:
            time.sleep(0.1)
    raise AssertionError(site.log("web"))


@pytest.fixture
def page() -> Iterator[Page]:
    with chromium() as browser:
        page = browser.new_page(viewport={"width": 1366, "height": 768}, locale="en-US")
        page.set_default_timeout(20_000)
        yield page


@pytest.fixture
def tasks(tmp_path: Path) -> Path:
    """Eight tasks with examples, some of them for the gold metric."""
    words = ["warm", "up", "in", "first", "day", "old", "wet", "near"]
    rows = []
    for number in range(8):
        examples = [{"input": f"{word} {number}", "output": word[::-1]} for word in words]
        rows.append({"text": f"Task {number}", "examples": examples[:4], "held_out_examples": examples[4:]})
    path = tmp_path / "tasks.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def end_of_run(page: Page, state: str = "done") -> None:
    """Wait on the run's page until it has ended, without touching the page."""
    live = page.locator("#run-live")
    expect(live).to_have_attribute("data-state", re.compile("done|failed|cancelled"), timeout=PATIENCE)
    assert live.get_attribute("data-state") == state, live.inner_text()
    expect(live).not_to_have_attribute("hx-trigger", re.compile("."))


def overview(page: Page) -> None:
    page.get_by_role("navigation", name="Project").get_by_role("link", name="Overview").click()


def press_next(page: Page, label: str) -> None:
    """Press the one button that the overview puts forward, which must be this one."""
    overview(page)
    button = page.locator("#do-loop-next")
    expect(button).to_have_text(label)
    button.click()


def test_a_manager_runs_the_loop(site: Site, address: str, page: Page, tasks: Path):
    complaints = complaints_of(page)

    # A project, and its tasks from a file.
    page.goto(f"{address}/login/")
    page.get_by_label("User name").fill("alice")
    page.get_by_label("Password").fill("alice")
    page.get_by_role("button", name="Sign in").click()
    page.get_by_role("link", name="New project").first.click()
    page.get_by_label("Name", exact=True).fill("Opposites")
    page.get_by_label("Share of tasks held out").fill("0.3")
    page.get_by_role("button", name="Create the project").click()
    press_next(page, "Import tasks")
    page.locator("input[type=file]").set_input_files(tasks)
    page.get_by_role("button", name="Inspect the file").click()
    page.get_by_role("button", name=re.compile(r"^Import \d+ tasks$")).click(timeout=PATIENCE)
    expect(page.get_by_text("New tasks")).to_be_visible(timeout=PATIENCE)

    # Generation, watched on its page.
    press_next(page, "Generate")
    expect(page.get_by_role("heading", name=re.compile(r"^Generation \d+$"))).to_be_visible()
    end_of_run(page)
    expect(page.locator("#run-written .text").first).to_be_visible()

    # People's part, by the door that theirs comes in.
    overview(page)
    expect(page.locator("#loop-waits")).to_contain_text("more rankings")
    done = site.manage("simulate_annotators", "opposites", "--annotators", "2", "--rankings", "60")
    assert done.returncode == 0, done.stderr + site.log("model")
    expect(page.locator("#loop-waits")).to_contain_text("Enough rankings are in", timeout=10_000)

    # The reward model, its curves drawn.
    press_next(page, "Train")
    end_of_run(page)
    expect(page.locator('[data-plot="accuracy"] canvas')).to_be_visible()
    page.locator('[data-plot="accuracy"]').get_by_text("As a table").click()
    expect(page.locator('[data-plot="accuracy"] tbody tr').first).to_be_visible()

    # A policy run that is cancelled, then one with a few steps.
    page.goto(f"{address}/projects/opposites/runs/start/policy/")
    page.get_by_label("Steps", exact=True).fill("500")
    page.get_by_role("button", name="Start").click()
    expect(page.locator('[data-plot="reward"] canvas')).to_be_visible(timeout=PATIENCE)
    page.get_by_role("button", name="Cancel").click()
    end_of_run(page, "cancelled")
    page.goto(f"{address}/projects/opposites/runs/start/policy/")
    page.get_by_label("Steps", exact=True).fill("2")
    page.get_by_role("button", name="Start").click()
    end_of_run(page)
    expect(page.locator("#run-samples .sample-policy").first).to_be_visible()
    expect(page.locator("#run-samples .sample-reference").first).to_be_visible()

    # Old against new, promotion, and the next iteration.
    press_next(page, "Evaluate")
    end_of_run(page)
    page.get_by_role("button", name=re.compile("^Promote")).click()
    expect(page.locator(".lineage-now")).to_contain_text("Writes now")
    overview(page)
    expect(page.locator(".loop-iteration")).to_contain_text("2")
    press_next(page, "Generate")
    end_of_run(page)
    overview(page)
    expect(page.locator(".station-generate")).to_contain_text("Done")

    assert complaints == []
