"""Sampling: the model's own distribution, whatever is in the batch, whatever is dropped from it."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import torch

from rlhf.lm.backbones import CausalLM, load_causal
from rlhf.lm.configs import SamplingConfig
from rlhf.lm.data import Task
from rlhf.lm.prompting import generator_text
from rlhf.lm.sampling import sample
from tests.tiny import make_tiny_model

TASKS = [Task(id=str(i), text="Sort " + "the list " * (7 * i)) for i in range(4)]
CONFIG = SamplingConfig(completions_per_task=5, max_new_tokens=12)


@pytest.fixture(scope="module")
def lm(tmp_path_factory: pytest.TempPathFactory) -> CausalLM:
    folder = make_tiny_model(tmp_path_factory.mktemp("tiny") / "model")
    return load_causal(str(folder), folder.parent, torch.float32)


def plain_logprob(lm: CausalLM, task: Task, token_ids: tuple[int, ...]) -> float:
    prompt = lm.tokenizer(generator_text(lm.tokenizer, task), add_special_tokens=False)["input_ids"]
    with torch.no_grad():
        logits = lm.model(torch.tensor([[*prompt, *token_ids]])).logits[0, len(prompt) - 1 : -1]
    return float(logits.log_softmax(-1)[range(len(token_ids)), list(token_ids)].sum())


def test_logprobs_are_those_of_a_plain_forward_pass(lm: CausalLM) -> None:
    groups = list(sample(lm, TASKS, CONFIG))
    assert len({len(c.token_ids) for group in groups for c in group}) > 2  # so that rows were dropped
    by_id = {task.id: task for task in TASKS}
    for group in groups:
        for completion in group:
            expected = plain_logprob(lm, by_id[completion.task_id], completion.token_ids)
            assert completion.logprob == pytest.approx(expected, abs=1e-3)


def test_a_tasks_completions_do_not_depend_on_the_batch(lm: CausalLM) -> None:
    together = {group[0].task_id: group for group in sample(lm, TASKS, CONFIG)}
    small = dataclasses.replace(CONFIG, batch_size=5)  # a batch for each task: no padding at all
    for group in sample(lm, TASKS[::-1], small):
        texts = [completion.text for completion in together[group[0].task_id]]
        assert [completion.text for completion in group] == texts


def test_the_seed_decides(lm: CausalLM) -> None:
    def texts(seed: int) -> list[str]:
        groups = sample(lm, TASKS, dataclasses.replace(CONFIG, seed=seed))
        return [completion.text for group in groups for completion in group]

    assert texts(1) == texts(1) != texts(2)
    assert len(set(texts(1))) > 10


def test_completions_end_at_the_end_token_or_at_the_limit(lm: CausalLM) -> None:
    completions = [c for group in sample(lm, TASKS, CONFIG) for c in group]
    (end,) = lm.end_ids
    assert {c.finished for c in completions} == {True, False}
    for completion in completions:
        assert end not in completion.token_ids[:-1]
        assert completion.finished == (completion.token_ids[-1] == end)
        assert len(completion.token_ids) == 12 or completion.finished
        assert "<|im_end|>" not in completion.text


def test_first_tokens_are_as_frequent_as_they_are_likely(lm: CausalLM) -> None:
    config = SamplingConfig(completions_per_task=4000, temperature=1.0, top_p=1.0, max_new_tokens=1)
    (group,) = sample(lm, TASKS[:1], config)
    prompt = lm.tokenizer(generator_text(lm.tokenizer, TASKS[0]), add_special_tokens=False)["input_ids"]
    with torch.no_grad():
        expected = lm.model(torch.tensor([prompt])).logits[0, -1].softmax(-1).numpy()
    counts = np.bincount([c.token_ids[0] for c in group], minlength=len(expected)) / 4000
    spread = np.sqrt(expected * (1 - expected) / 4000)
    assert (np.abs(counts - expected) < 5 * spread + 1e-3).all()


def test_the_model_is_left_as_it_was(lm: CausalLM) -> None:
    before = lm.model.config._attn_implementation
    list(sample(lm, TASKS[:1], CONFIG))
    assert lm.model.config._attn_implementation == before


@pytest.mark.real
def test_the_embedded_model_in_bfloat16(tmp_path_factory: pytest.TempPathFactory) -> None:
    models = Path("var/models")
    lm = load_causal("smollm2", models if models.is_dir() else tmp_path_factory.mktemp("models"))
    (group,) = sample(lm, TASKS[:1], CONFIG)
    for completion in group:
        expected = plain_logprob(lm, TASKS[0], completion.token_ids)
        assert completion.logprob == pytest.approx(expected, abs=0.15 * len(completion.token_ids))
