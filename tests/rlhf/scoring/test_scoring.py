"""POST /api/score/ on the real processes: web server, Redis, worker; asked as OpenRLHF asks."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import requests

from annotator.site import servers
from annotator.site.throwaway import Site, throwaway
from tests.tiny import make_tiny_model

pytestmark = pytest.mark.real

# A reward model of a few rankings; two tokens; what the model itself says of two texts.
PREPARE = """
import json, sys, django
django.setup()
from django.conf import settings
from annotator import tokens
from annotator.models import Scope
from rlhf import execution, runs
from rlhf.tasks import stage_of
from rlhf.stages.loading import reward_of
from rlhf.snapshots import task_of
from tests.factories import make_comparison, make_member, make_project, make_prompt, make_ranking, make_user
runs.app.send_task = lambda *args, **kwargs: None
project = make_project("small", held_out_share=0)
annotator, alice = make_member(project), make_member(project, "manager", make_user("alice"))
for number in range(8):
    make_comparison(project, make_prompt(project, f"Task {number}"))
    make_ranking(project, annotator, first=number % 2)
execution.execute(runs.start_reward(project=project, config={"l2": 1.0}).pk, stage_of)
reward = runs.latest_reward(project)
prompt = project.prompts.get(text="Task 3")
mean, std = reward_of(reward).score([(task_of(prompt), "Write one word."), (task_of(prompt), "answer list")])
empty = make_project("empty")
make_member(empty, "manager", alice)
print(json.dumps({
    "token": tokens.make(owner=alice, name="cluster", scopes=[Scope.SCORE], project=project)[1],
    "empty": tokens.make(owner=alice, name="empty", scopes=[Scope.SCORE], project=empty)[1],
    "reads": tokens.make(owner=alice, name="reads", scopes=[Scope.READ], project=project)[1],
    "prompt": prompt.pk, "reward": reward.pk, "mean": mean.tolist(), "std": std.tolist(),
}))
"""
PROMPT = "<|im_start|>user\nTask 3<|im_end|>\n<|im_start|>assistant\n"


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    folder = tmp_path_factory.mktemp("scoring")
    model = make_tiny_model(folder / "tiny")
    options = {
        "MODEL": str(model),
        "OMP_NUM_THREADS": "1",
        "SCORE_SECONDS": "150",
        "API_SCORE_LIMIT": "300/minute",
    }
    with throwaway(models=folder / "models", **options) as made:
        yield made


@pytest.fixture(scope="module")
def known(site: Site) -> dict[str, Any]:
    done = subprocess.run([sys.executable, "-c", PREPARE], env=site.env, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


@pytest.fixture(scope="module")
def host(site: Site, known: dict[str, Any]) -> str:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    site.start("web", servers.web_command(host="127.0.0.1", port=port, threads=8, workers=1))
    for _ in range(200):
        try:
            urllib.request.urlopen(f"http://127.0.0.1:{port}/login/").close()
            break
        except OSError:
            time.sleep(0.1)
    return f"127.0.0.1:{port}"


@pytest.fixture(scope="module")
def worker(site: Site, host: str) -> Site:
    site.start_redis()
    site.start_worker("score")
    return site


def payload(texts: list[str], label: Any) -> dict[str, Any]:
    """The body of OpenRLHF's SingleTurnAgentExecutor._fetch_rewards_via_http."""
    queries = [f"{PROMPT}{text}<|im_end|>" for text in texts]
    return {"query": queries, "prompts": [PROMPT] * len(texts), "labels": [label] * len(texts)}


def test_without_redis_it_says_so_at_once(host: str, known: dict[str, Any]) -> None:
    began = time.monotonic()
    answer = requests.post(
        f"http://t:{known['token']}@{host}/api/score/", json=payload(["a"], None), timeout=30
    )
    assert answer.status_code == 503 and time.monotonic() - began < 5
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert int(answer.headers["Retry-After"]) > 0


def test_the_scores_are_the_models(worker: Site, host: str, known: dict[str, Any]) -> None:
    url = f"http://token:{known['token']}@{host}/api/score/"  # an address is all that its client takes
    answer = requests.post(
        url, json=payload(["Write one word.", "answer list"], known["prompt"]), timeout=170
    )
    assert answer.status_code == 200, answer.text + worker.log("score")
    data = answer.json()
    assert data["mean"] == pytest.approx(known["mean"], abs=1e-5)
    assert data["std"] == pytest.approx(known["std"], abs=1e-5)
    assert max(data["std"]) > 0 and data["mean"][0] != data["mean"][1]
    expected = [m - 0.5 * s for m, s in zip(data["mean"], data["std"], strict=True)]
    assert data["rewards"] == data["scores"] == data["pessimistic"] == pytest.approx(expected)
    assert data["known"] == [True, True] and data["checkpoint"] == known["reward"] and data["refit"] is None
    # What its executor makes of the answer.
    extra = {name: value[0] for name, value in data["extra_logs"].items()}
    assert extra == {"reward_mean": data["mean"][0], "reward_std": data["std"][0]}


def test_older_clients_that_send_query_alone(worker: Site, host: str, known: dict[str, Any]) -> None:
    """remote_rm_fn of OpenRLHF up to 0.5: {"query": …}, and it insists on "rewards" in the answer."""
    body = {"query": payload(["Write one word."], None)["query"]}
    headers = {"Authorization": f"Bearer {known['token']}"}
    url = f"http://{host}/api/projects/small/score/?pessimism=0"
    data = requests.post(url, json=body, headers=headers, timeout=170).json()
    assert data["rewards"] == pytest.approx(known["mean"][:1], abs=1e-5)
    assert data["known"] == [True], "its words say which task it is"


def test_many_at_once_are_answered_each_with_their_own(
    worker: Site, host: str, known: dict[str, Any]
) -> None:
    texts = ["Write one word.", "answer list"] * 12

    def ask(text: str) -> Any:
        url = f"http://t:{known['token']}@{host}/api/score/?checkpoint={known['reward']}"
        return requests.post(url, json=payload([text], known["prompt"]), timeout=170).json()["mean"][0]

    with ThreadPoolExecutor(24) as pool:
        found = list(pool.map(ask, texts))
    assert found == pytest.approx(known["mean"] * 12, abs=1e-5)


def test_what_it_refuses(worker: Site, host: str, known: dict[str, Any]) -> None:
    def status(token: str, body: Any, query: str = "") -> tuple[int, str]:
        headers = {"Authorization": f"Bearer {known[token]}"}
        answer = requests.post(f"http://{host}/api/score/{query}", json=body, headers=headers, timeout=170)
        return answer.status_code, answer.json().get("code", "")

    fine = {"query": ["a"]}
    assert status("token", fine) == (200, "")
    assert status("reads", fine) == (403, "permission_denied")
    assert status("empty", fine) == (409, "no_reward_model")
    assert status("token", fine, "?project=empty") == (404, "not_found")
    assert status("token", fine, "?checkpoint=999") == (404, "not_found")
    assert status("token", fine, "?pessimism=-1") == (400, "invalid")
    assert status("token", {"query": []}) == (400, "invalid")
    assert status("token", {"query": ["a"] * 257}) == (400, "invalid")
    assert status("token", {"query": ["a" * 40_001]}) == (400, "invalid")
    assert status("token", {"query": ["a"], "prompts": ["b", "c"]}) == (400, "invalid")
    assert status("token", {"query": "a"}) == (400, "invalid")
