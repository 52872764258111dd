"""Imports by real processes: the light worker, Redis, beat. kill -9 leaves nothing half-done."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from annotator.site.throwaway import Site, throwaway
from tests.test_loop import logs, query, wait_for

pytestmark = [pytest.mark.real, pytest.mark.timeout(600)]

TASKS = 6000
KILLED_TASKS = 14_000  # so that a worker has some seconds to do
PATIENCE = 200.0  # seconds; the machine may be busy
PREPARE = """
import json
from django.core.files.base import ContentFile
from annotator.models import Project, User
from annotator.prompts import importing
project = Project.objects.create(slug="small", name="Small", held_out_share=0.0)
rows = (
    dict(prompt=f"Task {n} asks for number {n * 7919}.", chosen=f"Do {n}.", rejected=f"Leave {n}.")
    for n in range(TASKS)
)
content = "\\n".join(map(json.dumps, rows)).encode()
importing.create_import(
    project=project, name="a.jsonl", file=ContentFile(content), user=None, default_domain="general"
)
"""
START = """
from annotator.models import PromptImport
from annotator.prompts import importing
assert importing.start_import(PromptImport.objects.get())
"""


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    with throwaway(models=tmp_path, IMPORT_STALE_SECONDS="4") as made:
        yield made


def shell(site: Site, code: str) -> None:
    done = site.manage("shell", "--no-imports", "-c", code)
    assert done.returncode == 0, done.stderr


def prepare(site: Site, tasks: int = TASKS) -> None:
    shell(site, f"TASKS = {tasks}\n{PREPARE}")


def batch(site: Site) -> dict[str, Any]:
    names = ("state", "claim", "progress", "error", "report", "counts")
    rows = query(site, f"SELECT {', '.join(names)} FROM annotator_promptimport")
    found = dict(zip(names, rows[0], strict=True)) if rows else {}
    return {
        name: json.loads(value) if name in ("progress", "report", "counts") else value
        for name, value in found.items()
    }


def count(site: Site, table: str, where: str = "1") -> int:
    return int(query(site, f"SELECT COUNT(*) FROM annotator_{table} WHERE {where}")[0][0])


def kill_worker(site: Site) -> None:
    """kill -9 of the worker; its keeper starts another one."""
    keeper = site.processes["light"].pid
    (worker,) = Path(f"/proc/{keeper}/task/{keeper}/children").read_text().split()
    os.kill(int(worker), signal.SIGKILL)


def is_at(site: Site, state: str, done: int) -> bool:
    found = batch(site)
    assert found["state"] in (state, "queued"), (found, logs(site))
    return bool(found["claim"] and found["progress"].get("done", 0) >= done)


def left_over(site: Site) -> list[str]:
    return [path.name for path in (site.var / "files" / "imports").iterdir() if ".source" not in path.name]


def test_a_worker_that_is_killed_at_any_moment_leaves_nothing_half_done(site: Site):
    site.start_redis()
    site.start_worker("light")
    site.start_beat()
    prepare(site, KILLED_TASKS)
    for done in (100, 2000):
        wait_for(site, lambda d=done: is_at(site, "inspecting", d), seconds=PATIENCE)
        kill_worker(site)
        wait_for(site, lambda: batch(site)["progress"].get("done", 0) == 0, seconds=PATIENCE)
    wait_for(site, lambda: batch(site)["state"] == "ready", seconds=PATIENCE)
    assert batch(site)["report"]["kept"] == KILLED_TASKS
    assert count(site, "prompt") == 0
    # What is left are the prepared tasks; nothing was rejected.
    wait_for(site, lambda: len(left_over(site)) == 1, seconds=PATIENCE)
    shell(site, START)
    project = "project_id = (SELECT id FROM annotator_project WHERE slug = 'small')"
    for done in (500, 1500):
        wait_for(site, lambda d=done: is_at(site, "importing", d), seconds=PATIENCE)
        kill_worker(site)
        assert count(site, "prompt") > 0
        assert count(site, "prompt", project) == count(site, "comparison", project) == 0
        wait_for(site, lambda: batch(site)["progress"].get("done", 0) == 0, seconds=PATIENCE)
    wait_for(site, lambda: batch(site)["state"] == "done", seconds=PATIENCE)
    wait_for(site, lambda: count(site, "project") == 1, seconds=PATIENCE)
    assert count(site, "prompt") == count(site, "prompt", project) == KILLED_TASKS
    assert count(site, "comparison") == count(site, "ranking") == count(site, "assignment") == KILLED_TASKS
    assert count(site, "completion") == 2 * KILLED_TASKS
    wait_for(site, lambda: left_over(site) == [], seconds=PATIENCE)


def test_without_a_broker_it_waits_and_comes_in_when_that_is_back(site: Site):
    prepare(site)
    assert batch(site)["state"] == "queued"
    site.start_redis()
    site.start_worker("light")
    site.start_beat()
    wait_for(site, lambda: batch(site)["state"] == "ready", seconds=PATIENCE)


def test_others_can_write_while_it_stores(site: Site):
    """The longest that anybody waits to write is a chunk or the last transaction, and not the import."""
    prepare(site)
    site.start_redis()
    site.start_worker("light")
    site.start_beat()
    wait_for(site, lambda: batch(site)["state"] == "ready", seconds=PATIENCE)
    probe = subprocess.Popen(
        [sys.executable, "-c", PROBE], env=site.env, stdout=subprocess.PIPE, stdin=subprocess.PIPE, text=True
    )
    assert probe.stdout is not None and probe.stdin is not None
    lines: list[str] = []
    reader = threading.Thread(target=lambda: lines.extend(probe.stdout or []))
    reader.start()
    began = time.monotonic()
    shell(site, START)
    wait_for(site, lambda: batch(site)["state"] == "done", seconds=PATIENCE)
    took = time.monotonic() - began
    probe.stdin.close()
    probe.wait(30)
    reader.join(30)
    found = json.loads(lines[-1])
    assert found["writes"] > 20
    assert found["longest"] < took / 2


# Writes to the database as people do who rank, and says how long it had to wait at most.
PROBE = """
import json, select, sys, time
import django
django.setup()
from django.db import transaction
from annotator.models import Project
longest = writes = 0
while not select.select([sys.stdin], [], [], 0.02)[0]:
    began = time.monotonic()
    with transaction.atomic():
        Project.objects.filter(slug="small").update(description=str(writes))
    longest, writes = max(longest, time.monotonic() - began), writes + 1
print(json.dumps(dict(longest=longest, writes=writes)), flush=True)
"""
