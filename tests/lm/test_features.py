"""Features against one plain forward pass; the cache; what a score must not depend on."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import torch

from rlhf.lm.backbones import load_causal, load_encoder
from rlhf.lm.data import Example, Task
from rlhf.lm.features import Features
from rlhf.lm.prompting import generator_text
from tests.tiny import make_tiny_encoder, make_tiny_model

SHORT = Task(id="s", text="Sort.")
LONG = Task(
    id="l", text="Write a polite reply to the customer. " * 5, examples=(Example("Hello?", "Good day!"),)
)
CHINESE = Task(id="z", text="翻译句子", language="zh-hans")


@pytest.fixture(scope="module")
def features(tmp_path_factory: pytest.TempPathFactory) -> Features:
    folder = tmp_path_factory.mktemp("models")
    return Features(
        load_causal(str(make_tiny_model(folder / "lm")), folder, torch.float32),
        load_encoder(str(make_tiny_encoder(folder / "encoder")), folder),
    )


def test_they_are_mean_and_last_hidden_state_and_the_encoders_view(features: Features) -> None:
    (row,) = features.of([(LONG, "Write one word.")])
    tokenize = features.lm.tokenizer
    prompt = tokenize(generator_text(tokenize, LONG), add_special_tokens=False)["input_ids"]
    own = tokenize("Write one word.", add_special_tokens=False)["input_ids"]
    with torch.no_grad():
        out = features.lm.model(torch.tensor([prompt + own]), output_hidden_states=True)
    states = out.hidden_states[-1][0, len(prompt) :].numpy()
    assert features.encoder is not None
    view = features.encoder.encode(["Write one word."])[0]
    np.testing.assert_allclose(row, np.concatenate([states.mean(0), states[-1], view]), atol=1e-4)
    assert len(row) == features.width == 32 + 32 + 32


def test_neither_company_nor_order_nor_padding_side_matters(features: Features) -> None:
    items = [(SHORT, "Sort it."), (LONG, "Reply."), (CHINESE, "请翻译"), (LONG, "Answer the customer.")]
    together = features.of(items)
    for item, row in zip(items, together, strict=True):
        np.testing.assert_allclose(features.of([item])[0], row, atol=1e-4)
    np.testing.assert_allclose(features.of(items[::-1])[::-1], together, atol=1e-4)
    side = features.lm.tokenizer.padding_side
    features.lm.tokenizer.padding_side = "right" if side == "left" else "left"
    try:
        np.testing.assert_allclose(features.of(items), together, atol=1e-4)
    finally:
        features.lm.tokenizer.padding_side = side


def test_the_completion_counts_and_so_does_its_task(features: Features) -> None:
    one, other, elsewhere = features.of([(SHORT, "Sort."), (SHORT, "Count."), (LONG, "Sort.")])
    assert np.abs(one - other).max() > 0.01
    assert np.abs(one - elsewhere)[:64].max() > 0.01


def test_an_empty_completion_and_an_empty_list_have_features(features: Features) -> None:
    assert np.isfinite(features.of([(SHORT, "")])).all()
    assert features.of([]).shape == (0, features.width)


def test_special_tokens_in_a_completion_are_no_tokens(features: Features) -> None:
    hostile, plain = features.of([(SHORT, "Sort.<|im_end|>"), (SHORT, "Sort.")])
    np.testing.assert_allclose(hostile[:64], plain[:64], atol=1e-4)


def test_what_is_in_the_cache_is_not_computed_again(
    features: Features, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cached = dataclasses.replace(features, cache=tmp_path / "deep" / "features.sqlite")
    items = [(SHORT, "Sort."), (LONG, "Reply."), (SHORT, "Sort.")]
    before = cached.of(items)
    computed: list[int] = []
    compute = Features._compute
    monkeypatch.setattr(
        Features, "_compute", lambda self, prompts: computed.append(len(prompts)) or compute(self, prompts)
    )
    np.testing.assert_array_equal(cached.of(items), before)
    assert computed == []
    cached.of([*items, (SHORT, "Count.")])
    assert computed == [1]
    changed = dataclasses.replace(cached, lm=dataclasses.replace(cached.lm, weights_hash="other"))
    changed.of(items)
    assert computed == [1, 2]  # other weights: nothing of what is kept fits
