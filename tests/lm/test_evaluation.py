"""Old against new: figures by hand, the same policy against itself, going on after a kill."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Generator
from pathlib import Path

import numpy as np
import pytest
import torch

from rlhf.lm import evaluation
from rlhf.lm.backbones import CausalLM, load_causal
from rlhf.lm.configs import EvaluationConfig
from rlhf.lm.data import Example, Record, Task
from rlhf.lm.evaluation import control_instructions, evaluate
from rlhf.lm.evaluation_result import EvaluationResult, TaskResult, Written, gap_closed, summarise
from rlhf.lm.gold import GoldScore, gold_scores
from rlhf.lm.prompting import generator_text
from tests.tiny import make_tiny_model

CONFIG = EvaluationConfig(completions_per_task=2, max_new_tokens=8, bootstrap=200)
TASKS = [
    Task(
        id=str(n),
        text=f"Task {n}",
        examples=(Example("hot", "cold"), Example("first", "last")),
        held_out_examples=(Example("wet", "dry"), Example("long", "short")),
        held_out=True,
        reference="Write the opposite." if n else "",
    )
    for n in range(3)
]


@pytest.fixture(scope="module")
def policies(tmp_path_factory: pytest.TempPathFactory) -> tuple[CausalLM, CausalLM]:
    folder = tmp_path_factory.mktemp("models")
    old, new = (
        load_causal(str(make_tiny_model(folder / str(seed), seed)), folder, torch.float32) for seed in (0, 1)
    )
    return old, new


def result_of(steps: Generator[Record, None, EvaluationResult]) -> tuple[list[Record], EvaluationResult]:
    records = []
    while True:
        try:
            records.append(next(steps))
        except StopIteration as end:
            return records, end.value


def written(
    gold: float, *, reward: float = 0.0, std: float = 0.0, leak: bool = False, text: str = "a b"
) -> Written:
    return Written(text, tokens=4, gold=GoldScore(gold, -2.0, 1.0, leak), reward=reward, reward_std=std)


def test_figures_are_means_of_task_means() -> None:
    results = [
        TaskResult(
            "1",
            old=(written(0.0, reward=1.0), written(0.2, reward=1.0)),
            new=(written(0.5, reward=2.0, std=1.0, leak=True), written(0.5, reward=4.0, std=1.0)),
            controls={"none": 0.1, "people": 1.1},
            kl=2.0,
        ),
        TaskResult("2", (written(0.3),), (written(0.3),), controls={"none": 0.3}, kl=0.0),
    ]
    found = summarise(dataclasses.replace(CONFIG, pessimism=0.5), results)
    assert found.gold is not None and found.reward is not None and found.pessimistic is not None
    assert found.gold.old.value == pytest.approx((0.1 + 0.3) / 2)
    assert found.gold.new.value == pytest.approx((0.5 + 0.3) / 2)
    assert found.gold.difference.value == pytest.approx(0.2)
    assert (found.gold.difference.low, found.gold.difference.high) == pytest.approx((0.0, 0.4))
    assert found.reward.difference.value == pytest.approx(((3 - 1) + 0) / 2)
    assert found.pessimistic.new.value == pytest.approx((2.5 + 0) / 2)
    assert found.leaks is not None and found.leaks.new.value == pytest.approx((0.5 + 0) / 2)
    assert found.kl == 1.0
    assert found.controls["people"].value == 1.1 and found.controls["none"].value == pytest.approx(0.2)
    assert found.gap_closed == pytest.approx((0.5 - 0.1) / (1.1 - 0.1))
    assert found.distinct_2.old == 1 / 3  # "a b" three times
    assert found.completions == 3


def test_no_gap_is_closed_where_people_are_not_ahead() -> None:
    behind = TaskResult("1", (written(0.5),), (written(0.9),), controls={"people": 0.4}, kl=0.0)
    assert gap_closed([behind]) is None
    assert gap_closed([dataclasses.replace(behind, controls={})]) is None


def test_measures_nobody_took_are_left_out() -> None:
    silent = Written("a", 3, gold=None, reward=None, reward_std=None)
    found = summarise(CONFIG, [TaskResult("1", (silent,), (silent,), controls={}, kl=0.0)])
    assert found.gold is None and found.reward is None
    assert {"gold", "reward", "pessimistic", "leaks", "gap_closed"}.isdisjoint(found.to_json())
    assert found.to_json()["length"]["old"]["value"] == 3


def test_a_policy_does_not_differ_from_itself(policies: tuple[CausalLM, CausalLM], tmp_path: Path) -> None:
    old, _ = policies
    records, found = result_of(
        evaluate(CONFIG, tasks=TASKS, old=old, new=old, executor=old, reward=None, folder=tmp_path)
    )
    assert found.gold is not None
    assert (found.gold.difference.low, found.gold.difference.high) == (0.0, 0.0)
    assert found.kl == 0.0 and found.gap_closed in (None, 0.0)
    assert found.completions == 6
    assert [(record.step, record.total) for record in records] == [(3, 6), (6, 6)]
    assert {sample.task_id for sample in records[-1].samples} == {"0", "1", "2"}
    json.dumps([dataclasses.asdict(record) for record in records] + [found.to_json()])


def test_kl_is_the_mean_log_ratio_of_the_new_policys_texts(policies: tuple[CausalLM, CausalLM]) -> None:
    old, new = policies
    texts = evaluation.write(new, TASKS[:1], CONFIG)
    differences = []
    for completion in texts["0"]:
        sums = []
        for lm in (new, old):
            prompt = lm.tokenizer(generator_text(lm.tokenizer, TASKS[0]), add_special_tokens=False)[
                "input_ids"
            ]
            with torch.no_grad():
                logits = lm.model(torch.tensor([[*prompt, *completion.token_ids]])).logits[0]
            logprobs = logits.log_softmax(-1)
            sums.append(
                sum(logprobs[len(prompt) - 1 + i, t].item() for i, t in enumerate(completion.token_ids))
            )
        differences.append(sums[0] - sums[1])
        if completion.finished:
            assert sums[0] == pytest.approx(completion.logprob, abs=1e-3)  # as the sampler counted
    found = evaluation.log_ratios(new, old, TASKS[:1], texts)
    assert found["0"] == pytest.approx(float(np.mean(differences)), abs=1e-3)


def test_controls_are_judged_by_the_same_executor(policies: tuple[CausalLM, CausalLM]) -> None:
    old, new = policies
    _, found = result_of(evaluate(CONFIG, tasks=TASKS, old=old, new=new, executor=old, reward=None))
    assert set(found.controls) == {"none", "people", "one_output", "pasted"}
    scores = [s.contrast for s in gold_scores(old, [(task, "") for task in TASKS], CONFIG) if s]
    assert found.controls["none"].value == pytest.approx(float(np.mean(scores)), abs=1e-4)
    assert found.tasks[0]["people"] is None and found.tasks[1]["people"] is not None
    assert control_instructions(TASKS[0])["one_output"] == "To get the output, cold"


def test_a_killed_evaluation_goes_on_and_ends_alike(
    policies: tuple[CausalLM, CausalLM], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    old, new = policies
    monkeypatch.setattr(evaluation, "TASKS_AT_ONCE", 1)

    def steps(folder: Path | None) -> Generator[Record, None, EvaluationResult]:
        return evaluate(CONFIG, tasks=TASKS, old=old, new=new, executor=old, reward=None, folder=folder)

    _, whole = result_of(steps(None))
    killed = steps(tmp_path)
    assert [next(killed).step for _ in range(3)] == [1, 2, 3]
    killed.close()
    records, found = result_of(steps(tmp_path))
    assert [record.step for record in records] == [3, 4, 5, 6]  # the second task again, not the first
    assert found == whole
    other = dataclasses.replace(CONFIG, seed=1)
    restarted = evaluate(other, tasks=TASKS, old=old, new=new, executor=old, reward=None, folder=tmp_path)
    assert next(restarted).step == 1  # what another evaluation left is not mixed in


def test_without_tasks_there_is_nothing_to_evaluate(policies: tuple[CausalLM, CausalLM]) -> None:
    old, new = policies
    with pytest.raises(ValueError, match="no held-out tasks"):
        next(evaluate(CONFIG, tasks=[], old=old, new=new, executor=old, reward=None))
