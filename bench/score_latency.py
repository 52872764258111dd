"""How long `POST /api/score/` takes, on the real processes: `python bench/score_latency.py [--requests N]`.

A throw-away site with a reward model of a few rankings; one text a request, as OpenRLHF asks, from one client
and from sixteen at once. Prints the median, the 95th percentile, and texts a second.
"""

from __future__ import annotations

import argparse
import http.client
import json
import socket
import statistics
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from annotator.site import servers  # noqa: E402
from annotator.site.throwaway import throwaway  # noqa: E402

PREPARE = """
import django
django.setup()
from annotator import tokens
from annotator.models import Scope
from rlhf import execution, runs
from rlhf.tasks import stage_of
from tests.factories import make_comparison, make_member, make_project, make_prompt, make_ranking, make_user
runs.app.send_task = lambda *args, **kwargs: None
project = make_project("small", held_out_share=0)
bob, alice = make_member(project), make_member(project, "manager", make_user("alice"))
for number in range(8):
    make_comparison(project, make_prompt(project, f"Task {number}"))
    make_ranking(project, bob, first=number % 2)
execution.execute(runs.start_reward(project=project).pk, stage_of)
print(tokens.make(owner=alice, name="bench", scopes=[Scope.SCORE], project=project)[1])
"""
PROMPT = "<|im_start|>user\nTask 3<|im_end|>\n<|im_start|>assistant\n"
WORDS = "write the name of each customer in one short polite sentence and answer with a number".split()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--requests", type=int, default=100)
    parser.add_argument("--models", type=Path, default=ROOT / "var" / "models")
    options = parser.parse_args()
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with throwaway(models=options.models, API_SCORE_LIMIT="0/minute", SCORE_SECONDS="120") as site:
        made = subprocess.run([sys.executable, "-c", PREPARE], env=site.env, capture_output=True, text=True)
        if made.returncode:
            raise SystemExit(made.stderr)
        token = made.stdout.split()[-1]
        site.start_redis()
        site.start_worker("score")
        site.start("web", servers.web_command(host="127.0.0.1", port=port, threads=16, workers=1))
        wait_for(port)
        print(f"first request, with the model to load: {ask(port, token, 0):.1f} s")
        for at_once in (1, 16):
            began = time.monotonic()
            with ThreadPoolExecutor(at_once) as pool:
                took = list(pool.map(lambda n: ask(port, token, n), range(1, options.requests + 1)))
            rate = options.requests / (time.monotonic() - began)
            took.sort()
            print(
                f"{at_once:2} at once: median {1000 * statistics.median(took):.0f} ms, "
                f"95 % {1000 * took[int(0.95 * len(took))]:.0f} ms, {rate:.1f} texts/s"
            )


def wait_for(port: int) -> None:
    for _ in range(600):
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.1)
    raise SystemExit("the site does not answer")


def ask(port: int, token: str, number: int) -> float:
    """Seconds that one text took; each is another one."""
    text = " ".join(WORDS[(number * step) % len(WORDS)] for step in range(1, 25)) + f" {number}"
    body = json.dumps({"query": [f"{PROMPT}{text}<|im_end|>"], "prompts": [PROMPT], "labels": [None]})
    headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=130)
    began = time.monotonic()
    connection.request("POST", "/api/score/", body, headers)
    answer = connection.getresponse()
    content = answer.read()
    connection.close()
    if answer.status != 200:
        raise SystemExit(content.decode())
    return time.monotonic() - began


if __name__ == "__main__":
    main()
