"""--engine trl: TRL trains, and what comes out is one of our checkpoints. Needs requirements-scale.txt."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from rlhf.lm import dpo, launch, policy_gradient, sft
from rlhf.lm.checkpoints import load_policy, read_manifest
from rlhf.lm.configs import DpoConfig, PolicyConfig, SftConfig
from tests.lm.jobs import make_job

HERE = importlib.util.find_spec("trl") is not None
needs_trl = pytest.mark.skipif(not HERE, reason="TRL is not installed (requirements-scale.txt)")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("jobs")


def run(kind: type, module: Any, path: Path) -> int:
    return launch.main(kind, module.start, ["--config", str(path), "--engine", "trl"])


def metrics(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]


def weights(folder: Path) -> dict[str, torch.Tensor]:
    return load_file(folder / "policy/adapters/0/adapter_model.safetensors")


def check_policy(folder: Path, models: Path, *, steps: int) -> None:
    """It loads as any of ours does, and is not the model that it began with."""
    manifest = read_manifest(folder / "policy", kind="policy")
    assert manifest["steps"] == steps and manifest["engine"] == "trl"
    policy = load_policy(folder / "policy", models, torch.float32)
    assert policy.checkpoint == folder / "policy"
    assert any(bool(t.any()) for name, t in weights(folder).items() if "lora_B" in name)
    assert not (folder / "trl").exists()


@needs_trl
@pytest.mark.parametrize("algorithm", ["rloo", "grpo", "dr_grpo"])
def test_rollouts(algorithm: str, folder: Path) -> None:
    config = {"algorithm": algorithm, "epochs": 2, "steps": 2}
    path = make_job(folder, output=algorithm, config=config)
    assert run(PolicyConfig, policy_gradient, path) == launch.DONE
    check_policy(folder / algorithm, folder, steps=2)
    rows = metrics(folder / algorithm)
    assert [(row["step"], row["total"]) for row in rows] == [(0, 2), (1, 2)]
    first = rows[0]["values"]
    assert first["kl"] == pytest.approx(0, abs=1e-4)
    # Our reward, with its pessimism: mean - 0.5 std over the heads.
    assert first["reward"] == pytest.approx(first["score"] - 0.5 * first["score_std"], abs=1e-4)
    assert rows[1]["values"]["kl"] != 0


@needs_trl
def test_a_limit_stops_it_with_the_best_step_before(folder: Path) -> None:
    path = make_job(folder, output="limit", config={"algorithm": "grpo", "steps": 6, "kl_budget": 0.01})
    assert run(PolicyConfig, policy_gradient, path) == launch.DONE
    rows = metrics(folder / "limit")
    assert len(rows) == 2  # the first update goes beyond
    assert "is over the budget of 0.01" in rows[-1]["note"]
    manifest = read_manifest(folder / "limit/policy", kind="policy")
    assert manifest["steps"] == 0 and manifest["stopped"] == rows[-1]["note"]
    assert not any(bool(t.any()) for name, t in weights(folder / "limit").items() if "lora_B" in name)


@needs_trl
def test_sft_learns_what_ours_learns(folder: Path) -> None:
    # One text a task, all tasks in an update: then the loss of both is the mean over all tokens.
    config = {
        "algorithm": "sft", "ranked": False, "epochs": 4, "groups_per_step": 5, "learning_rate": 1e-2,
        "warmup_steps": 0,
    }  # fmt: skip
    ours = make_job(folder, output="sft-ours", config=config)
    assert launch.main(SftConfig, sft.start, ["--config", str(ours)]) == launch.DONE
    assert run(SftConfig, sft, make_job(folder, output="sft", config=config)) == launch.DONE
    check_policy(folder / "sft", folder, steps=4)
    losses = [[row["values"]["loss"] for row in metrics(folder / name)] for name in ("sft-ours", "sft")]
    assert losses[0] == pytest.approx(losses[1], rel=1e-3)
    assert losses[0][-1] < losses[0][0]


@needs_trl
def test_dpo_takes_votes_at_their_word(folder: Path) -> None:
    config = {"algorithm": "dpo", "epochs": 4, "groups_per_step": 5, "learning_rate": 1e-2, "warmup_steps": 0}
    assert run(DpoConfig, dpo, make_job(folder, output="dpo", config=config, reward=None)) == launch.DONE
    check_policy(folder / "dpo", folder, steps=4)
    rows = metrics(folder / "dpo")
    assert rows[0]["values"]["loss"] == pytest.approx(0.6931, abs=1e-3)
    assert rows[-1]["values"]["margin"] > rows[0]["values"]["margin"]


@needs_trl
def test_reliability_is_refused(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert (
        run(DpoConfig, dpo, make_job(folder, output="weighed", config={"algorithm": "dpo"})) == launch.REFUSED
    )
    assert "cannot weigh votes" in capsys.readouterr().err


@needs_trl
def test_interrupted_it_goes_on(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config = {"algorithm": "grpo", "steps": 4}
    path = make_job(folder, output="broken", config=config)
    record = launch.Report.record

    def broken(self: launch.Report, row: Any) -> None:
        record(self, row)
        if row.step == 2:
            raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(launch.Report, "record", broken)
        assert run(PolicyConfig, policy_gradient, path) == launch.INTERRUPTED
    assert (folder / "broken/trl/checkpoint-2").is_dir()

    other = make_job(folder, output="broken", config=config | {"kl_coef": 0.5})
    assert run(PolicyConfig, policy_gradient, other) == launch.FAILED
    assert run(PolicyConfig, policy_gradient, make_job(folder, output="broken", config=config)) == launch.DONE
    assert [row["step"] for row in metrics(folder / "broken")] == [0, 1, 2, 3]
    check_policy(folder / "broken", folder, steps=4)


@pytest.mark.skipif(HERE, reason="TRL is installed")
def test_without_trl_it_says_what_to_install(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = make_job(folder, output="absent", config={"algorithm": "grpo"})
    assert run(PolicyConfig, policy_gradient, path) == launch.REFUSED
    assert "requirements-scale.txt" in capsys.readouterr().err
