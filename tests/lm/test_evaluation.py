"""Old against new: paired by task, zero where nothing differs, with the controls beside it."""

import dataclasses
import math

import numpy as np
import pytest
import torch

from rlhf.lm.backbones import load_causal
from rlhf.lm.configs import EvaluationConfig
from rlhf.lm.data import Example, Task
from rlhf.lm.evaluation import (
    compare,
    completion_logprobs,
    control_items,
    divergence,
    evaluate,
    gap_closed,
    per_task,
)
from rlhf.lm.prompting import generator_text
from tests.tiny import make_tiny_model

CONFIG = EvaluationConfig(completions_per_task=2, max_new_tokens=8, gold_examples=2, bootstrap=200)
WORDS = ("warm", "old", "wet", "near")


def task(number, *, reference="Write the opposite.", judged=True):
    examples = tuple(Example(f"{word} {number}", f"{word[::-1]} {number}") for word in WORDS)
    return Task(
        id=str(number),
        text=f"Task {number}",
        examples=examples[:2],
        held_out_examples=examples[2:] if judged else (),
        held_out=True,
        reference=reference,
    )


TASKS = [task(1), task(2), task(3, reference=""), task(4, judged=False)]


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    folder = tmp_path_factory.mktemp("models")
    return [
        load_causal(str(make_tiny_model(folder / str(seed), seed=seed)), folder, torch.float32)
        for seed in (0, 1)
    ]


def run(**options):
    records = []
    generator = evaluate(CONFIG, tasks=TASKS, **options)
    while True:
        try:
            records.append(next(generator))
        except StopIteration as end:
            return end.value, records


def score(items):
    return np.array([float(len(text)) for _, text in items]), np.full(len(items), 0.5)


def test_a_policy_gains_nothing_on_itself(models):
    result, records = run(old=models[0], new=models[0], executor=models[0], score=score)
    assert result.kl == pytest.approx(0, abs=1e-4)
    measures = (result.gold, result.reward, result.pessimistic, result.length, result.fluency)
    for measure in (*measures, result.variety, result.self_similarity, result.leaks):
        assert dataclasses.astuple(measure.difference) == (0, 0, 0)
    assert result.consistency is None, "there was no encoder"
    for won in result.wins.values():
        assert dataclasses.astuple(won.rate) == (0.5, 0.5, 0.5)
        assert won.controlled.value == pytest.approx(0.5, abs=1e-6)
    assert [record.total for record in records] == [records[0].total] * len(records)
    steps = [record.step for record in records]
    assert steps == sorted(steps)
    assert steps[-1] == records[-1].total


def test_another_policy_differs_and_the_tasks_that_can_judge_are_named(models):
    result, _ = run(old=models[0], new=models[1], executor=models[0], score=score)
    assert result.kl > 0
    judged = {row.task_id: row for row in result.tasks}
    assert set(judged) == {"1", "2", "3", "4"}
    assert judged["4"].old is None
    assert all(judged[name].new is not None for name in "123")
    by_hand = np.mean([judged[name].new - judged[name].old for name in "123"])
    assert result.gold.difference.value == pytest.approx(by_hand)
    assert result.pessimistic.new.value == pytest.approx(result.reward.new.value - 0.5)
    assert set(result.controls) == {"none", "people", "output", "examples"}
    won = result.wins["gold"]
    assert (won.tasks, won.matches) == (3, 3 * 2 * 2), "each text against each: two by two"
    assert won.rate.value == pytest.approx(np.mean([judged[name].gold_wins for name in "123"]))
    assert judged["4"].gold_wins is None and judged["4"].reward_wins is not None
    assert sorted(completion.task_id for completion in result.texts["new"]) == list("11223344")
    assert "texts" not in result.to_json()


def test_without_a_reward_model_and_without_judging_tasks_these_are_left_out(models):
    generator = evaluate(
        CONFIG, old=models[0], new=models[1], executor=models[0], tasks=[task(4, judged=False)]
    )
    while True:
        try:
            next(generator)
        except StopIteration as end:
            found = end.value.to_json()
            break
    assert not {"gold", "reward", "pessimistic", "gap_closed"} & set(found)
    assert {"length", "kl", "tasks"} <= set(found)


def test_it_needs_a_task(models):
    with pytest.raises(ValueError, match="no held-out task"):
        next(evaluate(CONFIG, old=models[0], new=models[0], executor=models[0], tasks=[]))


def test_completion_logprobs_are_those_of_a_plain_forward_pass(models):
    lm = models[0]
    tokens = lm.tokenizer("write a word", add_special_tokens=False)["input_ids"]
    prompt = lm.tokenizer(generator_text(lm.tokenizer, TASKS[0]), add_special_tokens=False)["input_ids"]
    with torch.no_grad():
        logits = lm.model(torch.tensor([prompt + tokens])).logits[0].float().log_softmax(-1)
    plain = sum(float(logits[len(prompt) - 1 + i, token]) for i, token in enumerate(tokens))
    short = tokens[:1]
    other = lm.tokenizer("write down", add_special_tokens=False)["input_ids"]  # begins alike
    found = completion_logprobs(lm, [(TASKS[0], tokens), (TASKS[1], short), (TASKS[0], other)])
    assert found[0] == pytest.approx(plain, abs=1e-3)
    alone = [*completion_logprobs(lm, [(TASKS[1], short)]), *completion_logprobs(lm, [(TASKS[0], other)])]
    assert found[1:] == pytest.approx(alone, abs=1e-3)


def test_the_divergence_is_that_of_the_whole_distribution(models):
    """One token, so that the expectation over all texts can be added up by hand."""
    config = dataclasses.replace(CONFIG, max_new_tokens=1)
    new, old = models[1], models[0]
    many = [dataclasses.replace(TASKS[0], id=str(i)) for i in range(300)]  # the id seeds the sampling
    prompt = new.tokenizer(generator_text(new.tokenizer, TASKS[0]), add_special_tokens=False)["input_ids"]
    with torch.no_grad():
        p, q = (lm.model(torch.tensor([prompt])).logits[0, -1].log_softmax(-1) for lm in (new, old))
    exact = float((p.exp() * (p - q)).sum())
    assert divergence(new, old, many, config) == pytest.approx(
        exact, abs=4 * float((p - q).std()) / math.sqrt(600)
    )


def test_means_are_taken_per_task_first():
    items = [(TASKS[0], "a"), (TASKS[0], "b"), (TASKS[1], "c"), (TASKS[2], "d")]
    assert per_task(items, [1.0, 3.0, 5.0, None]) == {"1": 2.0, "2": 5.0}


def test_the_difference_is_paired_by_hand():
    means = {"old": {"1": 1.0, "2": 5.0, "3": 9.0}, "new": {"1": 2.0, "2": 6.0}}
    found = compare(means, CONFIG)
    assert (found.old.value, found.new.value) == (3.0, 4.0)
    assert dataclasses.astuple(found.difference) == (1.0, 1.0, 1.0)  # every task gains the same
    assert compare({"old": {"1": 1.0}, "new": {}}, CONFIG) is None


def test_the_gap_closed_by_hand():
    contrasts = {
        "old": {"1": 0.0, "2": 0.2, "3": 9.0},
        "new": {"1": 0.3, "2": 0.3, "3": 9.0},
        "people": {"1": 0.5, "2": 0.5},
    }
    assert gap_closed(contrasts) == pytest.approx((0.3 - 0.1) / (0.5 - 0.1))
    assert gap_closed({**contrasts, "people": {"1": -1.0}}) is None
    assert gap_closed({**contrasts, "people": {}}) is None


def test_the_controls_quote_only_what_is_shown():
    controls = control_items(TASKS)
    assert [instruction for _, instruction in controls["people"]] == ["Write the opposite."] * 3
    pasted = controls["examples"][0][1]
    assert "warm 1 → mraw 1" in pasted
    assert not any(example.output in pasted for example in TASKS[0].held_out_examples)
