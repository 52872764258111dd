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
from contextlib import contextmanager
from pathlib import Path

import pytest

from annotator.site import servers
from annotator.site.throwaway import Site, throwaway
from tests.test_loop import logs, numbers, query, run_of, wait_for
from tests.tiny import make_tiny_model

pytestmark = pytest.mark.real

KILLS = 10
STEPS = 32
LAST = 12  # steps left to whoever comes after the last kill: a run that is done has no worker to kill
QUICK = {"RUN_HEARTBEAT_SECONDS": "1", "RUN_STALE_SECONDS": "3", "OMP_NUM_THREADS": "1"}
PATIENCE = 300.0  # seconds; on a free machine everything together takes a fifth of it

# What a policy run needs, one run that nothing disturbs, and one that waits for a worker.
PREPARE = f"""
from rlhf import execution, runs
from rlhf.tasks import stage_of
from tests.factories import make_comparison, make_member, make_project, make_prompt, make_ranking
project = make_project("small", held_out_share=0)
annotator = make_member(project)
for number in range(8):
    make_comparison(project, make_prompt(project))
    make_ranking(project, annotator, first=number % 2)
project.prompts.filter(pk__in=list(project.prompts.values_list("pk", flat=True)[:2])).update(is_held_out=True)
execution.execute(runs.start_reward(project=project).pk, stage_of)
unguarded = dict(kl_budget=1000, length_drift=1000, disagreement=1000, entropy_floor=0, repetition=1)
config = dict(steps={STEPS}, prompts_per_step=2, completions_per_prompt=3, **unguarded)
execution.execute(runs.start_policy(project=project, config=config).pk, stage_of)
runs.start_policy(project=project, config=config)
"""
# Imports once, then forks a process for each line: to prepare, or a real Celery worker. Says its id.
NURSERY = """
import os, signal, sys
import django
django.setup()
import rlhf.stages.policy, rlhf.stages.reward
from celery.__main__ import main
signal.signal(signal.SIGCHLD, signal.SIG_IGN)
prepare, *worker = sys.argv[1:]
for line in sys.stdin:
    pid = os.fork()
    if pid == 0:
        os.dup2(2, 1)  # a worker has much to say
        if line.strip() == "prepare":
            exec(prepare)
        else:
            sys.argv = ["celery", *worker]
            main()
        os._exit(0)
    print(pid, flush=True)
"""
# As beat and the light worker do, but not only every five seconds.
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
        yield made


@contextmanager
def nursery(site: Site) -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-c", NURSERY, PREPARE, *servers.worker_command("model")[3:]]
    with (site.logs / "model.log").open("a") as log:
        process = subprocess.Popen(
            command,
            env=site.env,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
            start_new_session=True,
        )
    try:
        yield process
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def fork(nursery: subprocess.Popen[str], what: str) -> int:
    """The id of a new process of the nursery's."""
    assert nursery.stdin and nursery.stdout
    nursery.stdin.write(f"{what}\n")
    nursery.stdin.flush()
    return int(nursery.stdout.readline())


@pytest.mark.timeout(900)  # where others use the machine too
def test_ten_kills_change_nothing(site: Site):
    moments = random.Random()
    sweep = servers.running([sys.executable, "-c", SWEEP], env=site.env, log=site.logs / "sweep.log")
    with nursery(site) as processes:
        fork(processes, "prepare")
        wait_for(site, lambda: len(policy_runs(site)) == 2, seconds=PATIENCE)
        whole, killed = policy_runs(site)
        wanted = numbers(site, whole)
        assert len(wanted) == STEPS + 1, logs(site)

        with sweep:
            fork(processes, "work"), fork(processes, "work")  # one works, the other is there to take over
            attempts = 0
            for step in sorted(moments.sample(range(STEPS - LAST), KILLS)):
                wait_for(site, lambda a=attempts, s=step: is_at(site, a + 1, s), seconds=PATIENCE)
                time.sleep(moments.uniform(0, 0.3))
                run = run_of(site, "policy")
                os.kill(int(run["worker"].partition("/")[0].rpartition(":")[2]), signal.SIGKILL)
                attempts = run["attempts"]
                fork(processes, "work")
            wait_for(site, lambda: run_of(site, "policy")["state"] == "done", seconds=PATIENCE)

    assert run_of(site, "policy")["attempts"] > KILLS
    assert numbers(site, killed) == wanted
    assert adapters(site, killed) == adapters(site, whole)
    log = (site.var / "runs" / str(killed) / "log.txt").read_text()
    assert log.count("Its worker died") >= KILLS and log.rstrip().endswith("done")


def policy_runs(site: Site) -> list[int]:
    return [pk for (pk,) in query(site, "SELECT id FROM rlhf_run WHERE kind = 'policy' ORDER BY id")]


def is_at(site: Site, attempt: int, step: int) -> bool:
    """Whether a worker has it for at least that time, and has stored the step."""
    run = run_of(site, "policy")
    assert run["state"] in ("queued", "running"), logs(site)
    return bool(run["state"] == "running" and run["attempts"] >= attempt and run["step"] >= step)


def adapters(site: Site, run_id: int) -> list[str]:
    """Hashes of the weights that a run left."""
    files = sorted((site.var / "runs" / str(run_id) / "policy").rglob("*.safetensors"))
    assert files
    return [hashlib.sha256(file.read_bytes()).hexdigest() for file in files]
