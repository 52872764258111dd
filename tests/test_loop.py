"""The whole loop in miniature: a tiny random model, and a real Redis, workers and beat.

Among it what must not break it: a model worker killed at its work, a broker that is down, a second worker.
"""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from annotator.site import servers
from annotator.site.throwaway import ROOT, Site, throwaway
from tests.tiny import make_tiny_model

pytestmark = pytest.mark.real

QUICK = {"RUN_HEARTBEAT_SECONDS": "1", "RUN_STALE_SECONDS": "4", "OMP_NUM_THREADS": "1"}


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_tiny_model(tmp_path_factory.mktemp("models") / "tiny")


@pytest.fixture
def site(model: Path, tmp_path: Path) -> Iterator[Site]:
    """An installation with a project of twelve tasks; nothing runs in it yet."""
    with throwaway(models=tmp_path / "models", MODEL=str(model), **QUICK) as made:
        tasks = tmp_path / "tasks.jsonl"
        tasks.write_text("".join(task_line(number) for number in range(12)))
        succeed(made, "shell", "-c", CREATE)
        succeed(made, "import_prompts", "small", str(tasks))
        yield made


CREATE = """
from annotator.models import Project
Project.objects.create(name="Small", slug="small", held_out_share=0.25, judgments_wanted=2)
"""


def task_line(number: int) -> str:
    words = ["warm", "up", "in", "first", "day", "old", "wet", "near"]
    examples = [{"input": f"{word} {number}", "output": word[::-1]} for word in words]
    row = {"text": f"Task {number}", "examples": examples[:4], "held_out_examples": examples[4:]}
    return json.dumps(row) + "\n"


def succeed(site: Site, *words: str) -> str:
    done = site.manage(*words, timeout=200)
    assert done.returncode == 0, f"{words}: {done.stdout}\n{done.stderr}\n{logs(site)}"
    return done.stdout


def logs(site: Site) -> str:
    return "\n".join(f"--- {path.name}\n{path.read_text()[-3000:]}" for path in site.logs.iterdir())


def query(site: Site, sql: str) -> list[tuple[Any, ...]]:
    with sqlite3.connect(site.var / "db.sqlite3", timeout=20) as connection:
        return connection.execute(sql).fetchall()


def run_of(site: Site, kind: str) -> dict[str, Any]:
    columns = ["state", "step", "attempts", "worker", "note", "error", "id"]
    rows = query(site, f"SELECT {', '.join(columns)} FROM rlhf_run WHERE kind = '{kind}' ORDER BY id DESC")
    return dict(zip(columns, rows[0], strict=True)) if rows else {}


def wait_for(site: Site, what: Callable[[], bool], seconds: float = 60.0) -> None:
    end = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < end, logs(site)
        time.sleep(0.05)


def start(site: Site, *processes: str) -> None:
    for name in processes or ("redis", "light", "model", "beat"):
        if name == "redis":
            site.start_redis()
        elif name == "beat":
            site.start_beat()
        else:
            site.start_worker(name)


def kill_worker(run: dict[str, Any]) -> int:
    """kill -9 of the process that has the run."""
    pid = int(run["worker"].partition("/")[0].rpartition(":")[2])
    os.kill(pid, signal.SIGKILL)
    return pid


def test_the_whole_loop(model: Path, tmp_path: Path):
    output, temporary = tmp_path / "loop.json", tmp_path / "t"
    temporary.mkdir()
    sizes = ("--limit", "24", "--k", "2", "--rankings", "30", "--steps", "2")
    policy_sizes = ("--prompts-per-step", "2", "--completions-per-prompt", "3")
    done = subprocess.run(
        [sys.executable, "manage.py", "loop", "--model", model, "--output", output, *sizes, *policy_sizes],
        env={**os.environ, **QUICK, "DEBUG": "1", "PREFLOOP_VAR": str(tmp_path), "TMPDIR": str(temporary)},
        capture_output=True,
        text=True,
        timeout=280,
        cwd=ROOT,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    report = json.loads(output.read_text())
    assert set(report) == {"prompts", "completions", "rankings", "reward", "policy", "seconds", "peak_mb"}
    assert set(report["reward"]) == {"accuracy", "low", "high", "longer", "human_ceiling"}
    policy = report["policy"]
    measured = {"gold_before", "gold_after", "gain", "low", "high", "reward_before", "reward_after", "kl"}
    assert set(policy) == {"algorithm", "steps", *measured}
    assert (report["prompts"], report["rankings"], policy["steps"]) == (152, 30, 2)
    assert 24 < report["completions"] <= 48  # the same text is kept once
    assert policy["gain"] == pytest.approx(policy["gold_after"] - policy["gold_before"])
    assert policy["low"] <= policy["gain"] <= policy["high"]
    assert 100 < report["peak_mb"] < 8000
    assert sum(v for k, v in report["seconds"].items() if k != "total") <= report["seconds"]["total"] + 1
    assert "gain in gold" in done.stdout
    assert not list(temporary.iterdir())


def test_a_broker_that_is_down_delays_a_run_and_loses_nothing(site: Site):
    assert "waiting for a worker" in succeed(site, "generate", "small", "--detach")
    assert run_of(site, "generation")["state"] == "queued"
    start(site)
    wait_for(site, lambda: run_of(site, "generation")["state"] == "done")
    assert run_of(site, "generation")["attempts"] == 1


def test_killed_and_stopped_and_cancelled_runs(site: Site):
    """One after the other on one installation, since making one takes longer than each of them."""
    succeed(site, "generate", "small", "--here")
    succeed(site, "simulate_annotators", "small", "--here", "--rankings", "60", "--annotators", "3")
    succeed(site, "train_reward_model", "small", "--here")
    start(site)
    succeed(site, *POLICY)
    whole = run_of(site, "policy")
    assert whole["attempts"] == 1
    wanted = numbers(site, whole["id"])
    assert len(wanted) == STEPS + 1

    killed_run_is_taken_over_by_another_worker(site, wanted)
    stopped_worker_gives_its_run_back(site, wanted)
    cancelled_run_ends_within_a_step(site)


STEPS = 15
SIZES = ("--steps", str(STEPS), "--prompts-per-step", "3", "--completions-per-prompt", "4")
POLICY = ("train_policy", "small", *SIZES)


def killed_run_is_taken_over_by_another_worker(site: Site, wanted: list[dict[str, float]]) -> None:
    site.start("second", servers.worker_command("model"))
    succeed(site, *POLICY, "--detach")
    wait_for(site, lambda: run_of(site, "policy")["step"] >= 4)
    before = run_of(site, "policy")
    assert before["attempts"] == 1  # the second worker has not taken what is running
    kill_worker(before)
    wait_for(site, lambda: run_of(site, "policy")["state"] == "done")
    after = run_of(site, "policy")
    assert after["attempts"] == 2
    assert after["worker"] != before["worker"]
    assert "worker died" in after["note"]
    assert numbers(site, after["id"]) == wanted
    assert query(site, f"SELECT count(*) FROM rlhf_checkpoint WHERE run_id = {after['id']}") == [(1,)]
    site.stop("second")


def stopped_worker_gives_its_run_back(site: Site, wanted: list[dict[str, float]]) -> None:
    succeed(site, *POLICY, "--detach")
    wait_for(site, lambda: run_of(site, "policy")["step"] >= 4)
    site.stop("model")
    stopped = run_of(site, "policy")
    assert (stopped["state"], stopped["attempts"]) == ("queued", 1), logs(site)
    assert stopped["step"] < STEPS
    assert "worker was stopped" in stopped["note"]
    start(site, "model")
    wait_for(site, lambda: run_of(site, "policy")["state"] == "done")
    assert numbers(site, run_of(site, "policy")["id"]) == wanted


def cancelled_run_ends_within_a_step(site: Site) -> None:
    succeed(site, *POLICY, "--detach")
    wait_for(site, lambda: run_of(site, "policy")["step"] >= 2)
    run = run_of(site, "policy")
    succeed(site, "shell", "-c", CANCEL.format(id=run["id"]))
    wait_for(site, lambda: run_of(site, "policy")["state"] == "cancelled", seconds=5)
    assert run_of(site, "policy")["step"] < STEPS
    assert query(site, f"SELECT count(*) FROM rlhf_checkpoint WHERE run_id = {run['id']}") == [(0,)]


CANCEL = """
from rlhf import runs
from rlhf.models import Run
runs.cancel(Run.objects.get(pk={id}))
"""


def numbers(site: Site, run_id: int) -> list[dict[str, float]]:
    timed = {"peak_mb", "seconds", "sampling_seconds", "tokens_per_s"}
    rows = query(site, f'SELECT "values" FROM rlhf_runrecord WHERE run_id = {run_id} ORDER BY step')
    return [{k: v for k, v in json.loads(row).items() if k not in timed} for (row,) in rows]
