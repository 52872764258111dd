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
from tests.test_loop import logs, numbers, query, run_of, succeed, wait_for
from tests.tiny import make_tiny_model

pytestmark = pytest.mark.real

KILLS = 10
STEPS = 24
QUICK = {"RUN_HEARTBEAT_SECONDS": "1", "RUN_STALE_SECONDS": "3", "OMP_NUM_THREADS": "1", "LOG_LEVEL": "INFO"}

# In one process: what a policy run needs, one run that nothing disturbs, and one that waits for a worker.
PREPARE = """
from annotator.models import Project
from rlhf import execution, runs
from rlhf.tasks import stage_of
from tests.factories import make_comparison, make_member, make_project, make_prompt, make_ranking
project = make_project("small", held_out_share=0)
annotator = make_member(project)
for number in range(8):
    make_comparison(project, make_prompt(project))
    make_ranking(project, annotator, first=number % 2)
project.prompts.filter(pk__in=project.prompts.values("pk")[:2]).update(is_held_out=True)
execution.execute(runs.start_reward(project=project).pk, stage_of)
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
        made.start_redis()
        succeed(made, "shell", "-c", PREPARE.format(steps=STEPS))
        yield made


def test_ten_kills_change_nothing(site: Site):
    dice = random.Random()
    whole, killed = (pk for (pk,) in query(site, "SELECT id FROM rlhf_run WHERE kind = 'policy' ORDER BY id"))
    wanted = numbers(site, whole)
    assert len(wanted) == STEPS + 1, logs(site)
    with ExitStack() as stack:

        def process(name: str, code: str, *words: str) -> subprocess.Popen[bytes]:
            command = [sys.executable, "-c", code, *words]
            return stack.enter_context(
                servers.running(command, env=site.env, log=site.logs / f"{name}.log", stop_seconds=5)
            )

        def worker() -> subprocess.Popen[bytes]:
            return process("model", WORKER, *servers.worker_command("model")[3:])

        process("sweep", SWEEP)
        workers = [worker(), worker()]  # one works, the other is there to take over
        attempts = 0
        for step in sorted(dice.sample(range(STEPS), KILLS)):
            wait_for(site, lambda a=attempts, s=step: is_at(site, attempt=a + 1, step=s), seconds=120)
            time.sleep(dice.uniform(0, 0.3))
            run = run_of(site, "policy")
            pid = int(run["worker"].partition("/")[0].rpartition(":")[2])
            [victim] = [found for found in workers if found.pid == pid]
            os.kill(pid, signal.SIGKILL)
            victim.wait()
            attempts = run["attempts"]
            workers = [found for found in workers if found is not victim] + [worker()]
        wait_for(site, lambda: run_of(site, "policy")["state"] == "done", seconds=120)

    ended = run_of(site, "policy")
    assert ended["id"] == killed and ended["attempts"] > KILLS, logs(site)
    assert numbers(site, killed) == wanted
    assert adapters(site, killed) == adapters(site, whole)
    log = (site.var / "runs" / str(killed) / "log.txt").read_text()
    assert log.count("Its worker died") >= KILLS and log.rstrip().endswith("done")


def is_at(site: Site, *, attempt: int, step: int) -> bool:
    """Whether a worker has it for at least that time, and has stored the step."""
    run = run_of(site, "policy")
    assert run["state"] in ("queued", "running"), logs(site)
    return run["state"] == "running" and run["attempts"] >= attempt and run["step"] >= step


def adapters(site: Site, run_id: int) -> list[str]:
    """Hashes of the weights that a run left."""
    files = sorted((site.var / "runs" / str(run_id) / "policy").rglob("*.safetensors"))
    assert files
    return [hashlib.sha256(file.read_bytes()).hexdigest() for file in files]
