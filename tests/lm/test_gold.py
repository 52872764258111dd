"""The gold metric: its numbers by hand, the packed rows against one sequence at a time, leaks."""

from __future__ import annotations

import dataclasses
import math
from pathlib import Path

import pytest
import torch

from rlhf.lm.backbones import CausalLM, load_causal
from rlhf.lm.configs import EvaluationConfig
from rlhf.lm.data import Example, Task
from rlhf.lm.gold import GoldScore, contrast, gold_scores, leaks, outputs_to_compare
from rlhf.lm.prompting import executor_text
from tests.tiny import make_tiny_model

CONFIG = EvaluationConfig(gold_examples=4, gold_contrast=3)
OPPOSITES = Task(
    id="opposites",
    text="Say the opposite.",
    examples=(Example("hot", "cold"), Example("first", "last")),
    held_out_examples=(Example("wet", "dry"), Example("long way", "short way"), Example("long", "short")),
)
LABELS = Task(
    id="labels",
    text="Sort the mail.",
    examples=(Example("Where is my parcel?", "delivery"), Example("My parcel is lost!", "delivery")),
    held_out_examples=(Example("I want my money back", "refund"), Example("It never came", "delivery")),
)
CHINESE = Task(
    id="zh",
    text="翻译",
    language="zh-hans",
    examples=(Example("你好世界和平", "hello peaceful world"),),
    held_out_examples=(Example("谢谢", "thanks"), Example("再见", "bye")),
)


@pytest.fixture(scope="module")
def executor(tmp_path_factory: pytest.TempPathFactory) -> CausalLM:
    folder = make_tiny_model(tmp_path_factory.mktemp("tiny"))
    return load_causal(str(folder), folder.parent, torch.float32)


def naive_logprob(executor: CausalLM, prompt: str, output: str) -> float:
    """Per token, from one plain forward pass of one sequence."""
    tokenize = executor.tokenizer
    before = tokenize(prompt, add_special_tokens=False)["input_ids"]
    after = tokenize(output, add_special_tokens=False)["input_ids"]
    with torch.no_grad():
        logprobs = executor.model(torch.tensor([before + after])).logits[0].log_softmax(-1)
    chosen = [logprobs[len(before) - 1 + i, token].item() for i, token in enumerate(after)]
    return sum(chosen) / len(chosen)


def naive_score(executor: CausalLM, task: Task, instruction: str) -> tuple[float, float, float]:
    contrasts, likelihoods, tops = [], [], []
    for example in task.held_out_examples:
        prompt = executor_text(executor.tokenizer, instruction, example.input, task.language)
        others = outputs_to_compare(task, example, count=CONFIG.gold_contrast, seed=CONFIG.seed)
        right, *wrong = [naive_logprob(executor, prompt, output) for output in [example.output, *others]]
        mean = sum(math.exp(value) for value in [right, *wrong]) / (1 + len(wrong))
        contrasts.append(right - math.log(mean))
        likelihoods.append(right)
        tops.append(float(right > max(wrong)))
    n = len(contrasts)
    return sum(contrasts) / n, sum(likelihoods) / n, sum(tops) / n


def test_packed_rows_give_what_single_sequences_give(executor: CausalLM) -> None:
    items = [
        (OPPOSITES, "Write the opposite."),
        (OPPOSITES, ""),
        (LABELS, "Name the topic."),
        (CHINESE, "请翻译"),
    ]
    for (task, instruction), score in zip(items, gold_scores(executor, items, CONFIG), strict=True):
        assert score is not None
        assert (score.contrast, score.log_likelihood, score.top) == pytest.approx(
            naive_score(executor, task, instruction), abs=1e-4
        )


def test_a_score_does_not_depend_on_its_company(executor: CausalLM) -> None:
    long = (LABELS, "Read the customer's message with care and name its topic. " * 4)
    (alone,) = gold_scores(executor, [(OPPOSITES, "Write it.")], CONFIG)
    _, beside, again = gold_scores(
        executor, [long, (OPPOSITES, "Write it."), (OPPOSITES, "Write it.")], CONFIG
    )
    assert alone is not None and beside is not None
    assert beside.contrast == pytest.approx(alone.contrast, abs=1e-5)
    assert again == beside


def test_a_task_that_cannot_judge_gives_none(executor: CausalLM) -> None:
    nothing_held_out = dataclasses.replace(OPPOSITES, held_out_examples=())
    one_output = Task(id="x", text="x", held_out_examples=(Example("a", "same"), Example("b", "same")))
    empty_output = Task(id="y", text="y", held_out_examples=(Example("a", " "),))
    told: list[tuple[int, int]] = []
    scores = gold_scores(
        executor,
        [(nothing_held_out, "i"), (one_output, "i"), (empty_output, "i"), (LABELS, "i")],
        CONFIG,
        on_progress=lambda done, total: told.append((done, total)),
    )
    assert scores[:3] == [None, None, None]
    assert isinstance(scores[3], GoldScore)
    assert told == [(1, 1)]
    assert gold_scores(executor, [], CONFIG) == []


def test_only_so_many_examples_are_judged(executor: CausalLM) -> None:
    first = dataclasses.replace(OPPOSITES, held_out_examples=OPPOSITES.held_out_examples[:1])
    pool = dataclasses.replace(first, examples=OPPOSITES.examples + OPPOSITES.held_out_examples[1:])
    one = dataclasses.replace(CONFIG, gold_examples=1, gold_contrast=4)
    (of_three,) = gold_scores(executor, [(OPPOSITES, "Go")], one)
    (of_one,) = gold_scores(executor, [(pool, "Go")], one)
    assert of_three is not None and of_one is not None
    assert of_three.contrast == pytest.approx(of_one.contrast, abs=1e-5)


def test_others_are_outputs_of_other_inputs_held_out_ones_first() -> None:
    example = OPPOSITES.held_out_examples[0]
    assert set(outputs_to_compare(OPPOSITES, example, count=2)) == {"short way", "short"}
    all_of_them = outputs_to_compare(OPPOSITES, example, count=9)
    assert set(all_of_them) == {"short way", "short", "cold", "last"}
    assert set(all_of_them[2:]) == {"cold", "last"}
    moved = dataclasses.replace(OPPOSITES, held_out_examples=OPPOSITES.held_out_examples[::-1])
    assert outputs_to_compare(moved, example, count=3) == all_of_them[:3]
    assert outputs_to_compare(LABELS, LABELS.held_out_examples[1], count=3) == ["refund"]


def test_contrast_by_hand() -> None:
    # p = 1/2, 1/4, 1/4: mean 1/3, so log(1/2) - log(1/3) = log 1.5
    assert contrast([math.log(0.5), math.log(0.25), math.log(0.25)]) == pytest.approx(math.log(1.5))
    assert contrast([-700.0, -700.0]) == pytest.approx(0.0)  # no underflow
    assert contrast([-1.0, -900.0]) == pytest.approx(math.log(2))  # at most log n


@pytest.mark.parametrize(
    ("task", "instruction", "expected"),
    [
        (OPPOSITES, "Write the opposite of the word.", False),
        (OPPOSITES, "To get the output for WET, answer: dry!", True),  # both sides, though short
        (OPPOSITES, "Make a long text dry.", False),  # sides of different examples, short
        (OPPOSITES, 'Say "Short   way" instead.', True),  # one output, long enough
        (OPPOSITES, "Take the shortwave.", False),  # whole words only
        (LABELS, "Answer delivery or refund.", False),  # a label of several examples may be named
        (LABELS, "If they ask where is my parcel, say so.", True),  # a shown input
        (LABELS, "Say refund if they write: I want my money back.", True),  # a held-out one
        (CHINESE, "把你好世界和平翻译成英文", True),
        (CHINESE, "把中文翻译成英文", False),
        (CHINESE, "", False),
    ],
)
def test_leaks(task: Task, instruction: str, expected: bool) -> None:
    assert leaks(instruction, task) is expected


@pytest.mark.real
def test_the_embedded_model_prefers_the_right_instruction(tmp_path: Path) -> None:
    executor = load_causal("smollm2", Path("var/models"))
    right, none, other = gold_scores(
        executor,
        [(OPPOSITES, "Write the opposite of the word."), (OPPOSITES, ""), (OPPOSITES, "Count the letters.")],
        CONFIG,
    )
    assert right is not None and none is not None and other is not None
    assert right.contrast > max(none.contrast, other.contrast)
