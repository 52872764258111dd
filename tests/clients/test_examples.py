"""The examples run as they stand, from a file copied elsewhere, on the real processes."""

from __future__ import annotations

import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import pytest

from annotator.site import servers
from annotator.site.throwaway import throwaway
from tests.tiny import make_tiny_model

pytestmark = [pytest.mark.real, pytest.mark.timeout(900)]
CLIENT = Path(__file__).resolve().parents[2] / "clients" / "python"

PREPARE = """
import django
django.setup()
from annotator import tokens
from annotator.models import Scope, User
alice = User.objects.create_superuser("alice", password="alice")
print(tokens.make(owner=alice, name="examples", scopes=list(Scope))[1])
"""


def test_the_examples(tmp_path: Path) -> None:
    model = make_tiny_model(tmp_path / "tiny")
    for name in ("prefloop.py", "examples.py"):
        shutil.copy(CLIENT / name, tmp_path)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    options = {"MODEL": str(model), "OMP_NUM_THREADS": "1", "SCORE_SECONDS": "150"}
    with throwaway(models=tmp_path / "models", **options) as site:
        made = subprocess.run([sys.executable, "-c", PREPARE], env=site.env, capture_output=True, text=True)
        assert made.returncode == 0, made.stderr
        site.start_redis()
        for queue in ("light", "model", "score"):
            site.start_worker(queue)
        site.start("web", servers.web_command(host="127.0.0.1", port=port, threads=4, workers=1))
        url = f"http://127.0.0.1:{port}"
        for _ in range(300):
            try:
                urllib.request.urlopen(f"{url}/login/").close()
                break
            except OSError:
                time.sleep(0.2)
        env = {"PREFLOOP_URL": url, "PREFLOOP_TOKEN": made.stdout.split()[-1], "PYTHONUTF8": "1"}
        done = subprocess.run(
            [
                sys.executable,
                "-I",
                "-c",
                "import sys; sys.path.insert(0, '.'); import runpy; runpy.run_path('examples.py')",
            ],
            cwd=tmp_path,
            env=env,
            capture_output=True,
            text=True,
            timeout=600,
        )
        logs = "\n".join(f"--- {path.name}\n{path.read_text()[-2000:]}" for path in site.logs.iterdir())
    assert done.returncode == 0, done.stdout + done.stderr + logs
    for line in (
        "I am alice",
        "5 tasks",
        "The import is done",
        "5 comparisons wait",
        "6 judgments",
        "The run is done",
        "Refused:",
        "The saved export is done",
        "6 pairs",
    ):
        assert line in done.stdout, done.stdout
