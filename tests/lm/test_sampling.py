"""Sampling: the model's own distribution, whatever is in the batch, whatever is dropped from it."""

from __future__ import annotations

import dataclasses
import math
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


def pairs(first: list[float], second: float = 0.0) -> torch.Tensor:
    """Uniforms of which the first differ from row to row. Shape: (B, 2)."""
    return torch.tensor([[value, second] for value in first])


def test_a_draw_inverts_the_cumulative_distribution() -> None:
    logits = torch.log(torch.tensor([[0.5, 0.2, 0.3]])).repeat(6, 1)
    tokens, logprobs = draw(logits, pairs([0.0, 0.49, 0.51, 0.69, 0.71, 0.999]), 1.0, 1.0)
    assert tokens.tolist() == [0, 0, 1, 1, 2, 2]
    assert logprobs.exp().tolist() == pytest.approx([0.5, 0.5, 0.2, 0.2, 0.3, 0.3])


def test_a_draw_finds_its_place_in_every_block() -> None:
    # 1,000 equally likely tokens lie in four blocks, the last of which is not full
    uniforms = (torch.arange(1000) + 0.5) / 1000
    tokens, logprobs = draw(torch.zeros(1000, 1000), torch.stack([uniforms, uniforms], -1), 1.0, 1.0)
    assert tokens.tolist() == list(range(1000))
    assert logprobs.tolist() == pytest.approx([-math.log(1000)] * 1000, rel=1e-5)


def test_top_p_keeps_the_likeliest_that_reach_it() -> None:
    # 0.5 and 0.3 reach 0.75 together, so token 1 lies outside: who draws it (from 0.5 to 0.7) draws again, by
    # the second uniform, from tokens 0 and 2, of whose sum 0.8 the first has 5/8 = 0.625
    logits = torch.log(torch.tensor([[0.5, 0.2, 0.3]])).repeat(5, 1)
    uniforms = torch.tensor([[0.0, 0.9], [0.49, 0.9], [0.6, 0.62], [0.6, 0.63], [0.71, 0.0]])
    tokens, logprobs = draw(logits, uniforms, 1.0, 0.75)
    assert tokens.tolist() == [0, 0, 0, 2, 2]
    assert logprobs.exp().tolist() == pytest.approx([0.5, 0.5, 0.5, 0.3, 0.3])  # of the model, not the cut


def test_tokens_of_a_nucleus_are_as_frequent_as_they_are_likely_in_it() -> None:
    probabilities = torch.tensor([0.05, 0.30, 0.08, 0.18, 0.15, 0.03, 0.11, 0.10])
    sharp = probabilities ** (1 / 0.8) / (probabilities ** (1 / 0.8)).sum()
    order = sharp.argsort(descending=True)
    kept = order[: int((sharp[order].cumsum(0) < 0.8).sum()) + 1]
    expected = torch.zeros(8).index_copy(0, kept, sharp[kept] / sharp[kept].sum())
    uniforms = torch.rand((40_000, 2), generator=torch.Generator().manual_seed(0))
    tokens, _ = draw(probabilities.log().repeat(40_000, 1), uniforms, 0.8, 0.8)
    found = torch.bincount(tokens, minlength=8) / 40_000
    spread = (expected * (1 - expected) / 40_000).sqrt()
    assert 1 < len(kept) < 8
    assert ((found - expected).abs() <= 4 * spread).all()


def test_top_p_of_a_flat_row_looks_beyond_the_candidates(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sampling, "TOP_P_CANDIDATES", 2)
    logits = torch.log(torch.tensor([[0.2, 0.22, 0.28, 0.3]])).repeat(3, 1)
    # 0.3 + 0.28 + 0.22 = 0.8 reach 0.75; token 0 is drawn again: 0.3 / 0.8 = 0.375, 0.58 / 0.8 = 0.725
    tokens, _ = draw(logits, torch.tensor([[0.1, 0.37], [0.1, 0.38], [0.1, 0.73]]), 1.0, 0.75)
    assert tokens.tolist() == [3, 2, 1]


def test_temperature_sharpens_and_zero_takes_the_likeliest() -> None:
    logits = torch.log(torch.tensor([[0.4, 0.6]]))
    # squared: 0.16 and 0.36, so the first has 4/13 = 0.308
    assert draw(logits, pairs([0.30]), 0.5, 1.0)[0].tolist() == [0]
    assert draw(logits, pairs([0.32]), 0.5, 1.0)[0].tolist() == [1]
    tokens, logprobs = draw(logits, pairs([0.0]), 0.0, 1.0)
    assert tokens.tolist() == [1]
    assert logprobs.exp().tolist() == pytest.approx([0.6])


def test_it_never_draws_a_token_of_no_probability() -> None:
    logits = torch.full((2, 600), float("-inf"))
    logits[:, 300] = 0.0  # the only one, in the second of three blocks
    tokens, _ = draw(logits, pairs([0.0, 0.99999994]), 1.0, 1.0)
    assert tokens.tolist() == [300, 300]


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
