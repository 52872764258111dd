"""Gold along a run: measured when it is due, on held-out tasks, changing nothing else, resumed as it was."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import torch

from rlhf.lm import policy_gradient, sft
from rlhf.lm.backbones import CausalLM, load_causal
from rlhf.lm.configs import EvaluationConfig, PolicyConfig, SftConfig
from rlhf.lm.data import Dataset, Example, Record, Task
from rlhf.lm.gold import gold_scores
from rlhf.lm.gold_along import Judge, judge_on
from rlhf.lm.over_optimisation import COMPLETIONS, TASKS, is_due, measured, measurements
from tests.tiny import make_tiny_model

PAIRS = tuple(Example(f"b a {n}", f"a b {n}") for n in range(4))
TRAINING = [Task(str(n), f"Sort list {n}", PAIRS[:2], reference="Sort the list.") for n in range(4)]
HELD_OUT = [Task(f"h{n}", f"Sort word {n}", PAIRS[:2], PAIRS[2:], held_out=True) for n in range(3)]
CONFIG = PolicyConfig(
    steps=3, prompts_per_step=2, completions_per_prompt=4, max_new_tokens=8, learning_rate=1e-2,
    sample_tasks=2, kl_budget=100.0, entropy_floor=0.0, repetition=1.0, gold_every=2,
)  # fmt: skip
CLOCK = {"seconds", "sampling_seconds", "tokens_per_s"}


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_tiny_model(tmp_path_factory.mktemp("tiny") / "model")


@pytest.fixture(scope="module")
def judge(tiny: Path) -> Judge:
    found = judge_on(HELD_OUT, executor=load(tiny), score=length, max_new_tokens=8)
    assert found is not None
    return found


def load(tiny: Path) -> CausalLM:
    return load_causal(str(tiny), tiny.parent, torch.float32)


def length(items: list[tuple[Task, str]]) -> tuple[np.ndarray, np.ndarray]:
    return np.array([len(text) / 10 for _, text in items]), np.full(len(items), 0.25)


def numbers(records: list[Record]) -> list[object]:
    return [(r.step, {k: v for k, v in r.values.items() if k not in CLOCK}, r.samples) for r in records]


def without_gold(records: list[Record]) -> list[object]:
    return [
        (r.step, {k: v for k, v in r.values.items() if k not in CLOCK and not k.startswith("gold")})
        for r in records
    ]


def test_when_it_is_due():
    assert [n for n in range(8) if is_due(n, every=3, last=n == 7)] == [0, 3, 6, 7]
    assert not is_due(0, every=0, last=True)


def test_the_values_are_those_of_the_texts_by_task(tiny: Path, judge: Judge):
    asked: list[tuple[Task, str]] = []

    def score(items: list[tuple[Task, str]]) -> tuple[np.ndarray, np.ndarray]:
        asked.extend(items)
        return length(items)

    policy = load(tiny)
    watched = judge_on(HELD_OUT, executor=policy, score=score, max_new_tokens=8)
    assert watched is not None
    values = watched(policy)
    assert values == judge(policy), "the same texts each time"
    assert len(asked) == len(HELD_OUT) * COMPLETIONS
    gold = [found.contrast for found in gold_scores(policy, asked, EvaluationConfig()) if found]
    assert values["gold"] == pytest.approx(np.mean(gold))
    of_first = [g for (task, _), g in zip(asked, gold, strict=True) if task.id == "h0"]
    assert values["gold/h0"] == pytest.approx(np.mean(of_first))
    pessimistic = [len(text) / 10 - 0.25 for _, text in asked]
    assert values["gold_reward"] == pytest.approx(np.mean(pessimistic))


def test_only_some_tasks_that_can_judge_are_taken(tiny: Path):
    bare = [dataclasses.replace(task, held_out_examples=()) for task in HELD_OUT]
    assert judge_on(bare, executor=load(tiny), score=None, max_new_tokens=8) is None
    many = [dataclasses.replace(HELD_OUT[0], id=str(n)) for n in range(3 * TASKS)]
    found = judge_on(many, executor=load(tiny), score=None, max_new_tokens=8)
    assert found is not None
    values = found(load(tiny))
    assert len(values) == TASKS + 1 and "gold_reward" not in values


def test_what_is_written_into_a_record_is_read_from_it():
    gold, reward = {"1": 0.25, "2": 0.75}, {"1": 2.0, "2": 4.0}
    values = measured(gold, reward)
    assert (values["gold"], values["gold_reward"]) == (0.5, 3.0)
    [found] = measurements([(0, {"kl": 1.0}), (4, values | {"kl": 2.0}), (5, {"gold": None})])
    assert (found.step, found.gold, found.reward) == (4, gold, reward)


def test_a_run_that_is_looked_at_learns_the_same(tiny: Path, judge: Judge, tmp_path: Path):
    def run(folder: str, **options: Judge) -> list[Record]:
        return list(
            policy_gradient.train(
                CONFIG, policy=load(tiny), tasks=TRAINING, score=length, folder=tmp_path / folder, **options
            )
        )

    watched, alone = run("watched", judge=judge), run("alone")
    assert [r.step for r in watched if "gold" in r.values] == [0, 2, 3]
    assert not any("gold" in r.values for r in alone)
    assert without_gold(watched) == without_gold(alone)
    assert watched[0].values["gold"] == judge(load(tiny))["gold"], "the first is the untrained policy"
    assert watched[0].values["gold_reward"] != watched[3].values["gold_reward"]


def test_a_killed_run_has_the_same_gold_and_may_be_measured_at_other_steps_from_then_on(
    tiny: Path, judge: Judge, tmp_path: Path
):
    def run(folder: Path, config: PolicyConfig = CONFIG, *, steps: int | None = None) -> list[Record]:
        records = policy_gradient.train(
            config, policy=load(tiny), tasks=TRAINING, score=length, folder=folder, judge=judge
        )
        return list(records) if steps is None else [next(records) for _ in range(steps)]

    whole = run(tmp_path / "whole")
    run(tmp_path / "killed", steps=2)
    assert numbers(run(tmp_path / "killed")) == numbers(whole)
    run(tmp_path / "changed", steps=1)
    changed = run(tmp_path / "changed", dataclasses.replace(CONFIG, gold_every=1))
    assert [r.step for r in changed if "gold" in r.values] == [0, 1, 2, 3]
    assert without_gold(changed) == without_gold(whole)


def test_offline_training_is_looked_at_too(tiny: Path, judge: Judge, tmp_path: Path):
    config = SftConfig(
        epochs=4, groups_per_step=2, gold_every=3, sample_every=5, sample_tasks=1, max_new_tokens=4
    )
    dataset = Dataset({task.id: task for task in [*TRAINING, *HELD_OUT]})
    records = list(sft.train(config, policy=load(tiny), dataset=dataset, folder=tmp_path, judge=judge))
    assert [r.step for r in records if "gold" in r.values] == [0, 3, 6, 7]
    assert [r.step for r in records if r.samples] == [0, 5, 7]
