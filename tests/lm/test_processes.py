"""Two processes train to the numbers of one."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from rlhf.lm import dpo, launch, policy_gradient
from rlhf.lm.configs import DpoConfig, PolicyConfig
from rlhf.lm.processes import ALONE, Processes
from tests.lm.jobs import make_job

ROOT = Path(__file__).resolve().parents[2]
TWO = [
    *(sys.executable, "-m", "accelerate.commands.launch", "--multi_gpu", "--num_processes=2"),
    *("--num_machines=1", "--mixed_precision=no", "--dynamo_backend=no", "--main_process_port=0", "-m"),
]  # without a GPU these are two processes that speak over gloo
CLOCK = {"seconds", "sampling_seconds", "tokens_per_s"}


def test_parts_are_even_and_in_order(monkeypatch: pytest.MonkeyPatch) -> None:
    parts: list[list[int]] = []
    monkeypatch.setattr(Processes, "_gather", lambda self, mine: [mine])
    for rank in range(3):
        parts.append(Processes(rank, 3).over(range(7), list))
    assert parts == [[0, 1], [2, 3], [4, 5, 6]]
    assert Processes(0, 3).over([1, 2], list) == []  # fewer than processes: this one is not called


def test_one_process_does_all_and_changes_nothing() -> None:
    weight = torch.zeros(2, requires_grad=True)
    weight.grad = torch.tensor([1.0, 2.0])
    ALONE.sum_gradients([weight])
    assert weight.grad.tolist() == [1.0, 2.0]
    assert ALONE.each([1, 2], lambda number: number + 1) == [2, 3]
    assert ALONE.once(lambda: "done") == "done"


@pytest.mark.parametrize(
    ("algorithm", "kind", "module"),
    [
        ("rloo", PolicyConfig, policy_gradient),
        ("ppo", PolicyConfig, policy_gradient),
        ("dpo", DpoConfig, dpo),
    ],
)
def test_two_processes_end_with_the_numbers_of_one(
    algorithm: str, kind: type, module: Any, tmp_path: Path
) -> None:
    # Three tasks a step: the processes have unequal parts.
    if algorithm != "dpo":
        changes = {"algorithm": algorithm, "epochs": 2, "prompts_per_step": 3, "steps": 2}
    else:
        changes = {"groups_per_step": 3, "epochs": 2, "learning_rate": 1e-2}
    one = make_job(tmp_path, output="one", config=changes)
    two = make_job(tmp_path, output="two", config=changes)
    assert launch.main(kind, module.start, ["--config", str(one)]) == launch.DONE
    run = subprocess.run(
        [*TWO, module.__name__, "--config", str(two)],
        cwd=ROOT, env=os.environ | {"OMP_NUM_THREADS": "1"}, capture_output=True, text=True, timeout=280,
    )  # fmt: skip
    assert run.returncode == 0, run.stderr
    assert run.stdout.startswith("2 processes\n")
    assert run.stdout.count("step 0 of") == 1  # one of them talks

    first, second = (
        [json.loads(line) for line in (tmp_path / name / "metrics.jsonl").read_text().splitlines()]
        for name in ("one", "two")
    )
    assert len(first) == len(second) > 1
    for a, b in zip(first, second, strict=True):
        assert a["samples"] == b["samples"]
        for name in a["values"].keys() - CLOCK:
            assert b["values"][name] == pytest.approx(a["values"][name], abs=1e-4), name
    weights = [
        load_file(tmp_path / name / "policy/adapters/0/adapter_model.safetensors") for name in ("one", "two")
    ]
    for name in weights[0]:
        torch.testing.assert_close(weights[0][name], weights[1][name], atol=1e-4, rtol=0)
