"""The command line of the training scripts: what it refuses, prints and leaves; it goes on."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from rlhf.lm import dpo, launch, policy_gradient, reward_lora, sft
from rlhf.lm.checkpoints import load_policy, read_manifest
from rlhf.lm.configs import DpoConfig, LoraRewardConfig, PolicyConfig, SftConfig
from tests.lm.jobs import make_job

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("jobs")


def rloo(folder: Path, output: str, **changes: Any) -> list[str]:
    return ["--config", str(make_job(folder, output=output, config={"algorithm": "rloo"} | changes))]


def metrics(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]


def test_it_trains_and_the_same_command_again_changes_nothing(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = rloo(folder, "again")
    assert launch.main(PolicyConfig, policy_gradient.start, arguments) == launch.DONE
    said = capsys.readouterr().out.splitlines()
    assert [line.split(":")[0] for line in said] == [f"step {n} of 2" for n in range(3)] + ["done"]
    assert "reward" in said[0] and "kl" in said[0]
    first = metrics(folder / "again")
    assert [row["step"] for row in first] == [0, 1, 2]
    assert first[0]["values"]["kl"] == pytest.approx(0, abs=1e-5)
    manifest = read_manifest(folder / "again/policy", kind="policy")
    assert manifest["config"]["prompts_per_step"] == 2

    assert launch.main(PolicyConfig, policy_gradient.start, arguments) == launch.DONE
    assert capsys.readouterr().out.splitlines() == ["going on after step 2", f"done: {folder / 'again'}"]
    assert metrics(folder / "again") == first
    assert read_manifest(folder / "again/policy", kind="policy") == manifest


def test_a_policy_checkpoint_can_be_trained_further(folder: Path) -> None:
    launch.main(PolicyConfig, policy_gradient.start, rloo(folder, "base", steps=1))
    further = make_job(
        folder, output="further", config={"algorithm": "sft", "epochs": 1}, policy=str(folder / "base/policy")
    )
    assert launch.main(SftConfig, sft.start, ["--config", str(further)]) == launch.DONE
    assert load_policy(folder / "further/policy", folder).checkpoint == folder / "further/policy"
    assert len(read_manifest(folder / "further/policy", kind="policy")["adapters"]) == 2


def test_a_file_with_a_task_on_each_line_will_do(folder: Path) -> None:
    rows = [
        {"text": "Sort list"},
        {"text": "Hidden", "held_out": True},
        {"examples": [{"input": "a", "output": "b"}]},
    ]
    (folder / "tasks.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    path = make_job(
        folder, output="lines", config={"algorithm": "grpo", "steps": 1}, data=str(folder / "tasks.jsonl")
    )
    assert launch.main(PolicyConfig, policy_gradient.start, ["--config", str(path)]) == launch.DONE
    assert {sample["task_id"] for row in metrics(folder / "lines") for sample in row["samples"]} == {"1", "3"}


def test_dpo_reads_reliability_from_the_reward_model(folder: Path) -> None:
    path = make_job(folder, output="dpo", config={"algorithm": "dpo", "epochs": 1})
    job = launch.read_job(path, DpoConfig)
    assert job.reliability().keys() == {"a", "b"}
    assert all(0.5 < eta <= 1 for eta in job.reliability().values())


def test_a_reward_models_backbone_is_trained(folder: Path) -> None:
    config = {"backbone": str(folder / "model"), "epochs": 1, "precision": "float32"}
    path = make_job(folder, output="backbone", config=config, reward=None, policy=None)
    assert launch.main(LoraRewardConfig, reward_lora.start, ["--config", str(path)]) == launch.DONE
    assert (folder / "backbone/reward/manifest.json").is_file()
    further = make_job(
        folder,
        output="by-backbone",
        config={"algorithm": "rloo", "steps": 1},
        reward=str(folder / "backbone/reward"),
    )
    assert launch.main(PolicyConfig, policy_gradient.start, ["--config", str(further)]) == launch.DONE


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"config": {"step": 3}}, "there is no config.step; there are algorithm, steps"),
        ({"config": {"steps": "3"}}, 'config.steps must be a number, not "3"'),
        ({"config": {"steps": 2.5}}, "config.steps must be a whole number, not 2.5"),
        ({"config": {"steps": 0}}, "config.steps is 0; it must lie between 1 and 100000"),
        ({"config": {"steps": True}}, "config.steps must be a number, not true"),
        ({"config": {"algorithm": "dpo"}}, "config.algorithm must be one of rloo, grpo, dr_grpo"),
        ({"config": {"gold_every": 2}}, "config.gold_every must be 0: gold is measured along"),
        ({"config": []}, "config must be an object, not []"),
        ({"data": "/nowhere.jsonl"}, "data: there is no file /nowhere.jsonl"),
        ({"reward": "/nowhere"}, "reward: /nowhere is no checkpoint, it has no manifest.json"),
        ({"reward": None}, "reward: a policy gradient needs the folder of a reward checkpoint"),
        ({"precision": "half"}, "precision must be one of auto, bfloat16, float32"),
        ({"policy": 3}, "policy must be a text, not 3"),
        ({"output": None}, "output is missing"),
        ({"outputs": "x"}, "there is no outputs; there are config, data, output"),
    ],
)
def test_it_says_what_is_wrong(
    given: dict[str, Any], says: str, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = make_job(folder, output="wrong", config={})
    job = json.loads(path.read_text()) | given
    path.write_text(json.dumps({name: value for name, value in job.items() if value is not None}))
    assert launch.main(PolicyConfig, policy_gradient.start, ["--config", str(path)]) == launch.REFUSED
    assert says in capsys.readouterr().err


def test_a_folder_with_another_run_is_refused(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    launch.main(PolicyConfig, policy_gradient.start, rloo(folder, "other", steps=1))
    arguments = rloo(folder, "other", steps=1, kl_coef=0.5)
    assert launch.main(PolicyConfig, policy_gradient.start, arguments) == launch.FAILED
    assert "config.kl_coef was 0.03, is 0.5" in capsys.readouterr().err


def test_sharded_weights_are_left_to_trl(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("ACCELERATE_USE_FSDP", "true")
    arguments = rloo(folder, "sharded", steps=1)
    assert launch.main(PolicyConfig, policy_gradient.start, arguments) == launch.REFUSED
    assert "--engine trl" in capsys.readouterr().err


def test_the_help_names_every_setting(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        launch.main(DpoConfig, dpo.start, ["--help"])
    assert ended.value.code == 0
    said = capsys.readouterr().out
    assert "beta = 0.1" in said and "groups_per_step = 8" in said
    assert "Tasks an update; all texts of a task are learned from together." in said
    assert "precision = auto" in said


def test_interrupted_it_ends_quietly_and_goes_on(folder: Path) -> None:
    command = [sys.executable, "-m", "rlhf.lm.policy_gradient", *rloo(folder, "broken", steps=5000)]
    running = subprocess.Popen(
        command, cwd=ROOT, env=os.environ | {"OMP_NUM_THREADS": "1"},
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # ignored in a background
    )  # fmt: skip
    assert running.stdout
    while not running.stdout.readline().startswith("step 1 "):
        assert running.poll() is None
    running.send_signal(signal.SIGINT)
    _, said = running.communicate(timeout=60)
    assert running.returncode == launch.INTERRUPTED
    assert said.endswith("interrupted; the same command goes on from the last saved step\n")
    assert "Traceback" not in said
    told = metrics(folder / "broken")
    assert 2 <= len(told) < 5000
    assert launch.saved_step(folder / "broken") in (len(told) - 1, len(told))
