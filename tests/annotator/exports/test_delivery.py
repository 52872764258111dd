"""The whole way with real processes: a worker killed while it writes, and downloads that break off."""

from __future__ import annotations

import hashlib
import http.client
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from annotator.site import servers
from annotator.site.throwaway import Site, throwaway
from tests.test_loop import logs, query, wait_for

pytestmark = [pytest.mark.real, pytest.mark.timeout(600)]

ANNOTATORS, COMPARISONS = 8, 9000  # a worker writes for some seconds
PATIENCE = 240.0  # seconds; where others use the machine too

# Many judgments, an export of them to compare with, the same asked of a worker, and dana's session.
PREPARE = f"""
import json, sys
from pathlib import Path
import django
django.setup()
from django.conf import settings
from django.test import Client
from annotator.exports import jobs
from annotator.exports.export import write_export
from annotator.exports.recipe import Recipe
from annotator.exports.selection import Frozen
from annotator.models import Assignment, Comparison, Completion, Project, Prompt, Ranking, Role, Slot
from tests.factories import make_member, make_project, make_user
project = make_project("large", judgments_wanted={ANNOTATORS})
people = [make_member(project) for _ in range({ANNOTATORS})]
dana = make_member(project, Role.RESEARCHER, make_user("dana"))
prompts = [Prompt(project=project, text=f"Task {{n}} " + "words " * 40) for n in range({COMPARISONS})]
for prompt in prompts: prompt.fill_in()
prompts = Prompt.objects.bulk_create(prompts, 500)
said = "text " * 40
texts = [Completion(prompt=prompt, text=f"{{name}} {{said}}") for prompt in prompts for name in "ab"]
for text in texts: text.fill_in()
texts = Completion.objects.bulk_create(texts, 500)
pairs = list(zip(texts[::2], texts[1::2]))
comparisons = Comparison.objects.bulk_create([
    Comparison(project=project, prompt=a.prompt, completions_key=f"{{a.pk}},{{b.pk}}",
               judgments_wanted={ANNOTATORS}, judgments_taken={ANNOTATORS}) for a, b in pairs], 500)
Slot.objects.bulk_create([Slot(comparison=row, completion=text, position=place)
    for row, pair in zip(comparisons, pairs) for place, text in enumerate(pair)], 500)
leases = Assignment.objects.bulk_create([
    Assignment(comparison=row, annotator=who, state="done", leased_until="2026-01-01T00:00Z",
               order=[a.pk, b.pk]) for row, (a, b) in zip(comparisons, pairs) for who in people], 500)
Ranking.objects.bulk_create([
    Ranking(comparison_id=lease.comparison_id, assignment=lease, annotator_id=lease.annotator_id,
            ranks={{str(lease.order[0]): 1, str(lease.order[1]): 2}}, order=lease.order, strength=2,
            rationale="because " * 20, idempotency_key=str(n)) for n, lease in enumerate(leases)], 500)
recipe = Recipe("raw")
export = jobs.create(project=project, recipe=recipe, user=dana, send_it=False)
whole = write_export(project, recipe, frozen=Frozen.from_json(export.frozen), folder=settings.VAR / "whole")
client = Client()
client.force_login(dana)
session = client.cookies["sessionid"].value
print(json.dumps({{"export": export.pk, "sha256": whole.sha256, "session": session}}))
"""


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Site, dict[str, Any]]]:
    """A site with a worker and beat, on which a large export is made though its worker was killed."""
    models = tmp_path_factory.mktemp("models")
    with throwaway(models=models, EXPORT_STALE_SECONDS="3", EXPORT_KEEP_FREE_MB="0") as site:
        command = [sys.executable, "-c", PREPARE]
        done = subprocess.run(command, env=site.env, capture_output=True, text=True, timeout=PATIENCE)
        assert done.returncode == 0, done.stderr[-3000:]
        facts = json.loads(done.stdout.splitlines()[-1])
        site.start_redis()
        site.start_worker("light")
        site.start_beat()
        yield site, facts


def row(site: Site) -> dict[str, Any]:
    names = ["state", "read", "of", "attempts", "sha256", "error"]
    [values] = query(site, "SELECT state, read, of, attempts, sha256, error FROM annotator_export")
    return dict(zip(names, values, strict=True))


def worker_of(site: Site) -> int:
    """The worker's own process: the keeper's child, which the keeper starts again when it dies."""
    keeper = site.processes["light"].pid
    [child] = Path(f"/proc/{keeper}/task/{keeper}/children").read_text().split()
    return int(child)


def test_a_worker_killed_while_it_writes_changes_nothing(made: tuple[Site, dict[str, Any]]):
    site, facts = made
    wait_for(site, lambda: row(site)["state"] == "running" and row(site)["read"] > 0, seconds=PATIENCE)
    before = row(site)
    assert before["read"] < before["of"] == ANNOTATORS * COMPARISONS
    os.kill(worker_of(site), signal.SIGKILL)
    assert row(site)["state"] == "running", "killed too late to tell"
    wait_for(site, lambda: row(site)["state"] != "running", seconds=PATIENCE)
    wait_for(site, lambda: row(site)["state"] not in ("queued", "running"), seconds=PATIENCE)
    after = row(site)
    assert (after["state"], after["error"]) == ("done", ""), logs(site)
    assert after["attempts"] == 2
    assert after["sha256"] == facts["sha256"]
    left = {path.name for path in (site.var / "exports" / str(facts["export"])).iterdir()}
    assert left == {"2"}


@pytest.fixture(scope="module")
def address(made: tuple[Site, dict[str, Any]]) -> Iterator[tuple[str, int, int]]:
    """Host and port of the site as `make run` serves it, by one process, whose memory can be followed."""
    site, _facts = made
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = servers.web_command(host="127.0.0.1", port=port, workers=1)
    with servers.running(command, env=site.env, log=site.logs / "web.log") as process:

        def answers() -> bool:
            try:
                socket.create_connection(("127.0.0.1", port), timeout=1).close()
            except OSError:
                return False
            return True

        wait_for(site, answers)
        yield "127.0.0.1", port, process.pid


def file_url(facts: dict[str, Any]) -> str:
    return f"/projects/large/exports/{facts['export']}/files/data/train.jsonl"


def train_file(site: Site) -> tuple[int, str]:
    """Bytes and hash of the file that is downloaded, as the export says."""
    [(files,)] = query(site, "SELECT files FROM annotator_export")
    [file] = [one for one in json.loads(files) if one["name"] == "data/train.jsonl"]
    return file["bytes"], file["sha256"]


def peak_memory(pid: int) -> int:
    """The most memory that the server's processes have had, in bytes."""
    pids = [pid, *map(int, Path(f"/proc/{pid}/task/{pid}/children").read_text().split())]
    lines = [line for one in pids for line in Path(f"/proc/{one}/status").read_text().splitlines()]
    return sum(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM"))


def test_a_download_that_breaks_off_again_and_again_comes_to_the_same_hash(
    made: tuple[Site, dict[str, Any]], address: tuple[str, int, int]
):
    site, facts = made
    wait_for(site, lambda: row(site)["state"] == "done", seconds=PATIENCE)
    host, port, pid = address
    headers = {"Cookie": f"sessionid={facts['session']}"}
    size, sha256 = train_file(site)
    got, tag, breaks = b"", "", 0
    for _ in range(2):  # everything that an answer needs is loaded before
        warm = http.client.HTTPConnection(host, port, timeout=60)
        warm.request("GET", file_url(facts), headers={**headers, "Range": "bytes=0-99"})
        assert len(warm.getresponse().read()) == 100
        warm.close()
    memory = peak_memory(pid)
    while len(got) < size:
        connection = http.client.HTTPConnection(host, port, timeout=60)
        asked = {**headers, "Range": f"bytes={len(got)}-", "If-Range": tag} if got else headers
        connection.request("GET", file_url(facts), headers=asked)
        response = connection.getresponse()
        assert response.status == (206 if got else 200), response.read()[:500]
        tag = response.headers["ETag"]
        assert int(response.headers["Content-Length"]) == size - len(got)
        got += response.read(size // 4 + 1)
        connection.close()  # in the middle of the answer
        breaks += 1
    assert breaks == 4
    assert hashlib.sha256(got).hexdigest() == tag.strip('"') == sha256
    assert size > 10_000_000
    assert peak_memory(pid) - memory < size / 2, "the file went through memory"


def test_curl_goes_on_where_it_broke(
    made: tuple[Site, dict[str, Any]], address: tuple[str, int, int], tmp_path: Path
):
    curl = shutil.which("curl")
    if curl is None:
        pytest.skip("no curl here")
    site, facts = made
    wait_for(site, lambda: row(site)["state"] == "done", seconds=PATIENCE)
    host, port, _pid = address
    out = tmp_path / "data.jsonl"
    command = [curl, "-sS", "-f", "-C", "-", "-o", str(out), "-b", f"sessionid={facts['session']}"]
    url = f"http://{host}:{port}{file_url(facts)}"
    first = subprocess.Popen([*command, "--limit-rate", "2M", url])
    wait_for(site, lambda: out.exists() and out.stat().st_size > 500_000)
    first.kill()
    first.wait()
    broken = out.stat().st_size
    told = ["-w", "%{http_code} %{size_download}"]
    second = subprocess.run([*command, *told, url], capture_output=True, text=True)
    assert second.returncode == 0, second.stderr
    status, received = second.stdout.split()
    assert (status, int(received)) == ("206", out.stat().st_size - broken)
    assert (out.stat().st_size, hashlib.sha256(out.read_bytes()).hexdigest()) == train_file(site)


def test_without_permission_no_range_comes(made: tuple[Site, dict[str, Any]], address: tuple[str, int, int]):
    _site, facts = made
    connection = http.client.HTTPConnection(*address[:2], timeout=60)
    connection.request("GET", file_url(facts), headers={"Range": "bytes=5-"})
    response = connection.getresponse()
    assert response.status == 302 and response.headers["Location"].startswith("/login/")
    connection.close()
    head = http.client.HTTPConnection(*address[:2], timeout=60)
    head.request("HEAD", file_url(facts), headers={"Cookie": f"sessionid={facts['session']}"})
    answer = head.getresponse()
    assert (answer.status, answer.headers["Accept-Ranges"], answer.read()) == (200, "bytes", b"")
    began = time.monotonic()
    head.request("GET", "/login/")  # the connection is usable still: HEAD sent no body
    assert head.getresponse().status == 200 and time.monotonic() - began < 30
    head.close()
