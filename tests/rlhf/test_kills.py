"""kill -9 of the model worker at ten random moments of a policy run: it ends as if nothing had been."""

from __future__ import annotations

import hashlib
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from annotator.site import servers
from annotator.site.throwaway import Site, throwaway
from tests.test_loop import CREATE, logs, numbers, query, run_of, succeed, task_line, wait_for
from tests.tiny import make_tiny_model

pytestmark = pytest.mark.real

KILLS = 10
STEPS = 24
QUICK = {"RUN_HEARTBEAT_SECONDS": "1", "RUN_STALE_SECONDS": "3", "OMP_NUM_THREADS": "1", "LOG_LEVEL": "INFO"}

# In one process: what a policy run needs, one run that nothing disturbs, and one that waits for a worker.
PREPARE = """
from django.core.management import call_command
from rlhf import execution, runs
from rlhf.tasks import stage_of
call_command("import_prompts", "small", {tasks!r})
call_command("generate", "small", here=True)
call_command("simulate_annotators", "small", here=True, rankings=30, annotators=2)
call_command("train_reward_model", "small", here=True)
project = Project.objects.get()
unguarded = dict(kl_budget=1000, length_drift=1000, disagreement=1000, entropy_floor=0, repetition=1)
config = dict(steps={steps}, prompts_per_step=2, completions_per_prompt=3, **unguarded)
execution.execute(runs.start_policy(project=project, config=config).pk, stage_of)
runs.start_policy(project=project, config=config)
"""
# A real worker that has its imports behind it when its turn comes; and a sweep that is not five seconds away.
WORKER = """
import sys, django
django.setup()
import rlhf.stages.policy
from celery.__main__ import main
sys.argv = ["celery", *sys.argv[1:]]
main()
"""
SWEEP = """
import time, django
django.setup()
from rlhf import execution, runs
while True:
    execution.requeue_stale()
    runs.send_waiting()
    time.sleep(0.2)
"""


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    model = make_tiny_model(tmp_path / "tiny")
    with throwaway(models=tmp_path / "models", MODEL=str(model), **QUICK) as made:
        tasks = tmp_path / "tasks.jsonl"
        tasks.write_text("".join(task_line(number) for number in range(8)))
        succeed(made, "shell", "-c", CREATE + PREPARE.format(tasks=str(tasks), steps=STEPS))
        yield made


def test_ten_kills_change_nothing(site: Site):
    dice = random.Random()
    whole, killed = (pk for (pk,) in query(site, "SELECT id FROM rlhf_run WHERE kind = 'policy' ORDER BY id"))
    wanted = numbers(site, whole)
    assert len(wanted) == STEPS + 1
    site.start_redis()
    with ExitStack() as stack:

        def process(name: str, code: str, *words: str) -> subprocess.Popen[bytes]:
            command = [sys.executable, "-c", code, *words]
            return stack.enter_context(
                servers.running(command, env=site.env, log=site.logs / f"{name}.log", stop_seconds=5)
            )

        def worker() -> subprocess.Popen[bytes]:
            return process("model", WORKER, *servers.worker_command("model")[3:])

        process("sweep", SWEEP)
        waiting = [worker(), worker()]  # one works, the other is there to take over
        for kill, step in enumerate(sorted(dice.sample(range(STEPS), KILLS)), start=1):
            wait_for(site, lambda n=kill, s=step: is_at(site, attempts=n, step=s))
            time.sleep(dice.uniform(0, 0.3))
            pid = int(run_of(site, "policy")["worker"].partition("/")[0].rpartition(":")[2])
            os.kill(pid, signal.SIGKILL)
            [one] = [found for found in waiting if found.pid == pid]
            one.wait()
            waiting.remove(one)
            waiting.append(worker())
        wait_for(site, lambda: run_of(site, "policy")["state"] == "done")

    ended = run_of(site, "policy")
    assert (ended["id"], ended["attempts"]) == (killed, KILLS + 1), logs(site)
    assert numbers(site, killed) == wanted
    assert adapters(site, killed) == adapters(site, whole)
    log = (site.var / "runs" / str(killed) / "log.txt").read_text()
    assert log.count("Its worker died") == KILLS and log.count("attempt ") == KILLS + 1


def is_at(site: Site, *, attempts: int, step: int) -> bool:
    run = run_of(site, "policy")
    assert run["state"] in ("queued", "running"), logs(site)
    return bool(run["attempts"] == attempts and run["step"] >= step and run["worker"])


def adapters(site: Site, run_id: int) -> list[str]:
    """Hashes of the weights that a run left."""
    files = sorted((site.var / "runs" / str(run_id) / "policy").rglob("*.safetensors"))
    assert files
    return [hashlib.sha256(file.read_bytes()).hexdigest() for file in files]
