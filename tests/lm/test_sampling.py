"""Sampling: the model's own distribution, whatever is in the batch, whatever is dropped from it."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import torch

from rlhf.lm import sampling
from rlhf.lm.backbones import CausalLM, load_causal
from rlhf.lm.configs import SamplingConfig
from rlhf.lm.data import Task
from rlhf.lm.prompting import generator_text
from rlhf.lm.sampling import draw, sample
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


def test_a_draw_inverts_the_cumulative_distribution() -> None:
    logits = torch.log(torch.tensor([[0.5, 0.2, 0.3]])).repeat(6, 1)
    uniforms = torch.tensor([0.0, 0.49, 0.51, 0.69, 0.71, 0.999])
    tokens, logprobs = draw(logits, uniforms, 1.0, 1.0)
    assert tokens.tolist() == [0, 0, 1, 1, 2, 2]
    assert logprobs.exp().tolist() == pytest.approx([0.5, 0.5, 0.2, 0.2, 0.3, 0.3])


def test_top_p_keeps_the_likeliest_that_reach_it() -> None:
    # 0.5 and 0.3 reach 0.75 together; of their sum 0.8, token 0 has 5/8 and token 2 has 3/8
    logits = torch.log(torch.tensor([[0.5, 0.2, 0.3]])).repeat(4, 1)
    tokens, logprobs = draw(logits, torch.tensor([0.0, 0.62, 0.63, 0.9999]), 1.0, 0.75)
    assert tokens.tolist() == [0, 0, 2, 2]
    assert logprobs.exp().tolist() == pytest.approx([0.5, 0.5, 0.3, 0.3])  # of the model, not of the cut


def test_top_p_of_a_flat_row_looks_beyond_the_candidates(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sampling, "TOP_P_CANDIDATES", 2)
    logits = torch.log(torch.tensor([[0.3, 0.28, 0.22, 0.2]])).repeat(2, 1)
    tokens, _ = draw(logits, torch.tensor([0.74, 0.99]), 1.0, 0.75)  # 0.3 + 0.28 + 0.22 = 0.8
    assert tokens.tolist() == [2, 2]


def test_temperature_sharpens_and_zero_takes_the_likeliest() -> None:
    logits = torch.log(torch.tensor([[0.4, 0.6]]))
    # squared: 0.16 and 0.36, so the first has 4/13 = 0.308
    assert draw(logits, torch.tensor([0.30]), 0.5, 1.0)[0].tolist() == [0]
    assert draw(logits, torch.tensor([0.32]), 0.5, 1.0)[0].tolist() == [1]
    assert draw(logits, torch.tensor([0.0]), 0.0, 1.0)[0].tolist() == [1]


def test_it_never_draws_a_token_of_no_probability() -> None:
    logits = torch.tensor([[float("-inf"), 0.0, float("-inf")]]).repeat(2, 1)
    tokens, _ = draw(logits, torch.tensor([0.0, 0.99999994]), 1.0, 1.0)
    assert tokens.tolist() == [1, 1]


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
