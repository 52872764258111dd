"""Policy gradients: they learn, resume to the same numbers, and keep their limits."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import torch

from rlhf.lm.backbones import CausalLM, load_causal
from rlhf.lm.checkpoints import add_lora, load_policy, read_manifest
from rlhf.lm.configs import ALGORITHMS, POLICY_CONFIGS, PolicyConfig
from rlhf.lm.data import Example, Record, Task
from rlhf.lm.group_learner import GroupLearner
from rlhf.lm.policy_gradient import train
from rlhf.lm.rollouts import Rollout, batch_of
from rlhf.lm.tensors import pack_group
from rlhf.lm.training_state import ResumeMismatch
from tests.tiny import make_tiny_model

TASKS = [
    Task(id=str(i), text=f"Sort list {i}", examples=(Example(f"b a {i}", f"a b {i}"),)) for i in range(5)
]
CONFIG = PolicyConfig(
    steps=3, prompts_per_step=2, completions_per_prompt=4, max_new_tokens=8, learning_rate=1e-2,
    sample_tasks=2, kl_budget=100.0, entropy_floor=0.0, repetition=1.0,
)  # fmt: skip
CONFIGS = {
    name: POLICY_CONFIGS[name](**dataclasses.asdict(CONFIG) | {"algorithm": name}) for name in ALGORITHMS
}
CLOCK = {"seconds", "sampling_seconds", "tokens_per_s"}


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_tiny_model(tmp_path_factory.mktemp("tiny") / "model")


def load(tiny: Path) -> CausalLM:
    return load_causal(str(tiny), tiny.parent, torch.float32)


def count_of_list(items: list[tuple[Task, str]]) -> tuple[np.ndarray, np.ndarray]:
    means = np.array([float(text.split().count("list")) for _, text in items])
    return means, np.zeros(len(items))


def length(items: list[tuple[Task, str]]) -> tuple[np.ndarray, np.ndarray]:
    means = np.array([len(text) / 10 for _, text in items])
    return means, np.zeros(len(items))


def numbers(records: list[Record]) -> list[object]:
    return [
        (r.step, {k: v for k, v in r.values.items() if k not in CLOCK}, r.samples, r.note) for r in records
    ]


def adapters_hash(folder: Path) -> str:
    return str(read_manifest(folder / "policy", kind="policy")["adapters_hash"])


def test_every_task_comes_before_any_comes_again() -> None:
    ids = [task.id for step in range(4) for task in batch_of(TASKS[:4], step, CONFIG)]
    assert sorted(ids[:4]) == sorted(ids[4:]) == ["0", "1", "2", "3"]


def test_no_task_is_twice_in_a_step() -> None:
    for step in range(20):  # two of five: every third step lies over the seam of two rounds
        ids = [task.id for task in batch_of(TASKS, step, CONFIG)]
        assert len(ids) == len(set(ids)) > 0


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_it_learns_what_is_rewarded(algorithm: str, tiny: Path, tmp_path: Path) -> None:
    config = dataclasses.replace(
        CONFIGS[algorithm], steps=15, prompts_per_step=5, completions_per_prompt=6, kl_coef=0.01
    )
    records = list(train(config, policy=load(tiny), tasks=TASKS, score=count_of_list, folder=tmp_path))
    assert [r.step for r in records] == list(range(16))
    first, last = (np.mean([r.values["reward"] for r in part]) for part in (records[:2], records[-2:]))
    assert last > first + 0.5
    assert records[0].values["kl"] == pytest.approx(0.0, abs=1e-5)
    assert records[-1].values["kl"] > 0.1
    assert records[0].samples[0].text == records[0].samples[0].reference_text
    assert records[-1].samples[0].text != records[-1].samples[0].reference_text


@pytest.mark.parametrize(("algorithm", "epochs"), [("rloo", 1), ("rloo", 2), ("grpo", 2), ("ppo", 2)])
def test_a_killed_run_ends_with_the_numbers_of_an_uninterrupted_one(
    tiny: Path, tmp_path: Path, algorithm: str, epochs: int
) -> None:
    config = dataclasses.replace(CONFIGS[algorithm], epochs=epochs)

    def run(folder: Path) -> list[Record]:
        return list(train(config, policy=load(tiny), tasks=TASKS, score=length, folder=folder))

    whole = run(tmp_path / "whole")
    for killed_after in (1, 2):
        folder = tmp_path / f"killed-{killed_after}"
        broken = train(config, policy=load(tiny), tasks=TASKS, score=length, folder=folder)
        for _ in range(killed_after):
            next(broken)
        del broken
        assert numbers(run(folder)) == numbers(whole)
        assert adapters_hash(folder) == adapters_hash(tmp_path / "whole")


def test_a_finished_run_gives_its_records_again_and_changes_nothing(tiny: Path, tmp_path: Path) -> None:
    def run() -> list[Record]:
        return list(train(CONFIG, policy=load(tiny), tasks=TASKS, score=length, folder=tmp_path))

    first = run()
    written = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")}
    assert numbers(run()) == numbers(first)
    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")} == written


def test_another_config_or_other_tasks_do_not_go_on(tiny: Path, tmp_path: Path) -> None:
    next(train(CONFIG, policy=load(tiny), tasks=TASKS, score=length, folder=tmp_path))
    other = dataclasses.replace(CONFIG, kl_coef=0.5)
    with pytest.raises(ResumeMismatch, match=r"config.kl_coef was 0.03, is 0.5"):
        next(train(other, policy=load(tiny), tasks=TASKS, score=length, folder=tmp_path))
    with pytest.raises(ResumeMismatch, match="tasks_hash"):
        next(train(CONFIG, policy=load(tiny), tasks=TASKS[1:], score=length, folder=tmp_path))


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_equal_rewards_give_no_gradient_and_change_nothing(
    algorithm: str, tiny: Path, tmp_path: Path
) -> None:
    def equal(items: list[tuple[Task, str]]) -> tuple[np.ndarray, np.ndarray]:
        return np.ones(len(items)), np.zeros(len(items))

    lm = load(tiny)
    before = {name: weight.clone() for name, weight in lm.model.named_parameters()}
    config = dataclasses.replace(CONFIGS[algorithm], kl_coef=0.5)
    records = list(train(config, policy=lm, tasks=TASKS, score=equal, folder=tmp_path))
    assert all(r.values["useful"] == 0 and r.values["grad_norm"] == 0 for r in records)
    loaded = load_policy(tmp_path / "policy", tiny.parent, torch.float32)
    for name, weight in loaded.model.named_parameters():
        torch.testing.assert_close(weight, before[name], atol=0, rtol=0)


def test_the_kl_term_pulls_back_to_the_reference(tiny: Path, tmp_path: Path) -> None:
    def last_kl(kl_coef: float) -> float:
        config = dataclasses.replace(CONFIG, steps=8, kl_coef=kl_coef)
        folder = tmp_path / str(kl_coef)
        records = list(train(config, policy=load(tiny), tasks=TASKS, score=count_of_list, folder=folder))
        return records[-1].values["kl"]

    assert last_kl(2.0) < last_kl(0.0) / 2


def test_the_gradient_is_that_of_plain_reinforce(tiny: Path) -> None:
    lm = load(tiny)
    prompt, completions = [5, 6, 7], [[8, 9, 10], [8, 11], [12]]
    rewards = torch.tensor([1.0, 0.0, 2.0])
    advantages = [0.0, -1.5, 1.5]  # 1 - 2/2, 0 - 3/2, 2 - 1/2
    model = add_lora(lm.model, lora_r=2, lora_alpha=4, seed=0)
    config = dataclasses.replace(CONFIG, kl_coef=0.0)
    rollout = Rollout(pack_group(prompt, completions), rewards)
    GroupLearner(config).learn(model, [rollout], epoch=0, completions=3)
    found = {n: p.grad.clone() for n, p in model.named_parameters() if p.grad is not None}
    model.zero_grad()
    for completion, advantage in zip(completions, advantages, strict=True):
        logits = model(torch.tensor([prompt + completion])).logits[0, len(prompt) - 1 : -1]
        logprob = logits.log_softmax(-1)[range(len(completion)), completion].sum()
        (-advantage * logprob / 3).backward()
    assert found
    for name, parameter in model.named_parameters():
        if parameter.grad is not None:
            torch.testing.assert_close(found[name], parameter.grad, atol=1e-5, rtol=1e-3)


def test_beyond_the_budget_it_stops_and_keeps_the_best_step_before(tiny: Path, tmp_path: Path) -> None:
    config = dataclasses.replace(CONFIG, steps=20, kl_budget=0.5, kl_coef=0.0, learning_rate=2e-2)
    records = list(train(config, policy=load(tiny), tasks=TASKS, score=count_of_list, folder=tmp_path))
    assert len(records) < 21
    assert records[-1].values["kl"] > 0.5
    assert all(r.values["kl"] <= 0.5 for r in records[:-1])
    kept = max(records[:-1], key=lambda record: (record.values["reward"], record.step)).step
    assert f"KL {records[-1].values['kl']:.2f} is over the budget of 0.5" in records[-1].note
    assert f"the policy of step {kept} is kept" in records[-1].note
    assert read_manifest(tmp_path / "policy", kind="policy")["steps"] == kept

    # The kept policy is the one a run of just so many steps ends with.
    short = dataclasses.replace(config, steps=kept)
    list(train(short, policy=load(tiny), tasks=TASKS, score=count_of_list, folder=tmp_path / "short"))
    assert adapters_hash(tmp_path / "short") == adapters_hash(tmp_path)


def test_disagreeing_heads_lower_the_reward(tiny: Path, tmp_path: Path) -> None:
    def doubtful(items: list[tuple[Task, str]]) -> tuple[np.ndarray, np.ndarray]:
        return np.full(len(items), 2.0), np.full(len(items), 0.8)

    config = dataclasses.replace(CONFIG, pessimism=0.5)
    record = next(train(config, policy=load(tiny), tasks=TASKS, score=doubtful, folder=tmp_path))
    assert record.values["reward"] == pytest.approx(2.0 - 0.5 * 0.8)
    assert record.values["score"] == pytest.approx(2.0)


def test_it_refuses_held_out_tasks(tiny: Path, tmp_path: Path) -> None:
    tasks = [*TASKS, dataclasses.replace(TASKS[0], id="secret", held_out=True)]
    with pytest.raises(ValueError, match="secret"):
        next(train(CONFIG, policy=load(tiny), tasks=tasks, score=length, folder=tmp_path))
    with pytest.raises(ValueError, match="no tasks"):
        next(train(CONFIG, policy=load(tiny), tasks=[], score=length, folder=tmp_path))


def test_the_callers_model_is_left_as_it_was(tiny: Path, tmp_path: Path) -> None:
    lm = load(tiny)
    before = {name: weight.clone() for name, weight in lm.model.named_parameters()}
    list(train(CONFIG, policy=lm, tasks=TASKS, score=length, folder=tmp_path))
    after = dict(lm.model.named_parameters())
    assert after.keys() == before.keys()
    assert all(torch.equal(after[name], before[name]) for name in before)
