"""docs/guides/api.md: each block of code does what the page says, on the site itself."""

from __future__ import annotations

import json
import os
import re
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from annotator import tokens
from annotator.models import PromptImport, Scope
from annotator.webhooks import delivering, keeping
from tests.factories import make_comparison, make_prompt, make_ranking

ROOT = Path(__file__).resolve().parents[1]
GUIDE = (ROOT / "docs" / "guides" / "api.md").read_text()
pytestmark = [pytest.mark.real, pytest.mark.django_db(transaction=True)]


def blocks(language: str) -> list[str]:
    found: list[str] = re.findall(rf"^```{language}\n(.*?)^```$", GUIDE, re.MULTILINE | re.DOTALL)
    return found


def block(word: str, language: str = "sh") -> str:
    (found,) = [one for one in blocks(language) if word in one]
    return found


@pytest.fixture
def env(live_server: Any, project: Any, alice: Any) -> dict[str, str]:
    _, text = tokens.make(owner=alice, name="guide", scopes=list(Scope))
    path = f"{ROOT / 'clients' / 'python'}"
    return {**os.environ, "PREFLOOP_URL": live_server.url, "PREFLOOP_TOKEN": text, "PYTHONPATH": path}


@pytest.fixture
def sh(env: dict[str, str], tmp_path: Path) -> Any:
    def run(word: str) -> Any:
        command = ["bash", "-euc", block(word)]
        done = subprocess.run(command, env=env, cwd=tmp_path, capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout) if done.stdout else None

    return run


def test_every_block_is_tested() -> None:
    assert len(blocks("sh")) == 6 and len(blocks("python")) == 2


def test_who_i_am(sh: Any) -> None:
    assert sh("/api/me/")["token"]["scopes"] == list(Scope.values)


def test_reading_and_writing(sh: Any, project: Any) -> None:
    first, again = sh("Idempotency-Key"), sh("Idempotency-Key")
    assert first == again and next(row["text"] for row in first["completions"]) == "Write the surname first."
    assert [row["id"] for row in sh("page_size=100")["results"]] == [first["id"]]


def test_a_file(sh: Any, settings: Any, tmp_path: Path) -> None:
    settings.MEDIA_ROOT = tmp_path / "media"
    assert sh("tasks.tsv")["state"] == "queued"
    assert PromptImport.objects.get().name == "tasks.tsv"


def test_data_out(sh: Any, project: Any, bob: Any, tmp_path: Path) -> None:
    make_comparison(project)
    make_ranking(project, bob)
    sh("exports/trl")
    assert json.loads((tmp_path / "preferences.jsonl").read_text())["chosen"].startswith("Instruction")


def test_the_scores_request_is_understood(sh: Any, project: Any, settings: Any) -> None:
    """Its scores are tested in tests/rlhf/scoring; here is no reward model, and it says so."""
    assert sh("pessimism=")["code"] == "no_reward_model"


def test_the_client(env: dict[str, str], project: Any) -> None:
    prompt = make_prompt(project, "Sort names.")
    done = subprocess.run(
        [sys.executable, "-c", block("project.prompts()", "python")], env=env, capture_output=True, text=True
    )
    assert done.stdout == f"{prompt.pk} Sort names.\n", done.stderr


def test_the_receiver(env: dict[str, str], project: Any, alice: Any, settings: Any) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    settings.WEBHOOK_HOSTS = [f"127.0.0.1:{port}"]
    webhook, secret = keeping.make(
        project=project, url=f"http://127.0.0.1:{port}/", wanted=["run.finished"], by=alice
    )
    process = subprocess.Popen(
        [sys.executable, "-c", block("verify_webhook", "python")],
        env={**env, "WEBHOOK_SECRET": secret, "PORT": str(port)},
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    try:
        for _ in range(200):
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    break
            time.sleep(0.05)
        delivery = keeping.test(webhook)
        assert delivering.deliver(delivery.pk)
        webhook.refresh_from_db()
        webhook.salt = "another"
        webhook.save()
        assert not delivering.deliver(keeping.test(webhook).pk)
        assert webhook.deliveries.first().attempts[0]["status"] == 401
    finally:
        process.terminate()
        output, _ = process.communicate(timeout=10)
    assert output == f"webhook.test {{'webhook': {webhook.pk}}}\n"
