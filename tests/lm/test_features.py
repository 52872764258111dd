"""Features against one plain forward pass; the cache; what a score must not depend on."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import torch

from rlhf.lm.backbones import load_causal, load_encoder
from rlhf.lm.covariates import likelihood_covariates, text_covariates
from rlhf.lm.data import Example, Task
from rlhf.lm.encoder_states import pooled_states
from rlhf.lm.execution import execution_covariates
from rlhf.lm.features import Features
from rlhf.lm.inputs import DEFAULT
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


def test_they_are_pooled_states_likelihoods_the_encoders_view_and_counts(features: Features) -> None:
    (row,) = features.of([(LONG, "Write one word.")])
    lm, encoder = features.lm, features.encoder
    assert lm is not None and encoder is not None
    prompt = lm.tokenizer(generator_text(lm.tokenizer, LONG), add_special_tokens=False)["input_ids"]
    own = lm.tokenizer("Write one word.", add_special_tokens=False)["input_ids"]
    ids = [*prompt, *own, lm.tokenizer.eos_token_id]
    with torch.no_grad():
        out = lm.model(torch.tensor([ids]), output_hidden_states=True)
    states = out.hidden_states[1][0, len(prompt) : -1].numpy()  # one of two layers
    logprobs = out.logits[0].log_softmax(-1)[torch.arange(len(ids) - 1), ids[1:]][len(prompt) - 1 :].tolist()
    pairs = pooled_states(encoder, [(LONG.text, "Write one word.")])[0]
    wanted = [
        *(states.mean(0), states.max(0), likelihood_covariates(logprobs[:-1], logprobs[-1])),
        *(encoder.encode(["Write one word."])[0], pairs, text_covariates(LONG.text, "Write one word.")),
        execution_covariates(lm, [(LONG, "Write one word.")])[0],
    ]
    np.testing.assert_allclose(row, np.concatenate(wanted), atol=1e-4)
    assert list(features.groups) == list(DEFAULT)
    assert len(row) == features.width == 32 + 32 + 6 + 32 + 64 + 15 + 4


def test_inputs_can_be_chosen_and_keep_their_values(features: Features) -> None:
    items = [(SHORT, "Sort it."), (LONG, "Reply. Reply.")]
    few = dataclasses.replace(features, inputs=("text", "max"))
    assert few.groups == {"max": slice(0, 32), "text": slice(32, 47)}
    whole, parts = features.of(items), features.groups
    np.testing.assert_allclose(few.of(items)[:, :32], whole[:, parts["max"]], atol=1e-4)
    np.testing.assert_allclose(few.of(items)[:, 32:], whole[:, parts["text"]], atol=1e-6)
    final = dataclasses.replace(features, inputs=("mean_final", "last_final", "end", "max_deep", "mean_deep"))
    assert np.isfinite(final.of(items)).all() and final.of(items).shape == (2, 160)
    with pytest.raises(ValueError, match="unknown input 'size'"):
        dataclasses.replace(features, inputs=("size",))
    with pytest.raises(ValueError, match="'encoder' needs an encoder"):
        dataclasses.replace(features, encoder=None, inputs=("encoder",))


def test_an_encoder_alone_is_enough(features: Features) -> None:
    alone = dataclasses.replace(features, lm=None)
    items = [(SHORT, "Sort it."), (LONG, "")]
    assert alone.names == ("encoder", "encoder_mean", "encoder_max", "text")
    both, parts = features.of(items), features.groups
    np.testing.assert_allclose(
        alone.of(items), both[:, parts["encoder"].start : parts["text"].stop], atol=1e-4
    )
    assert alone.identity["backbone"] is None and alone.identity != features.identity


def test_the_wording_and_the_limit_are_the_callers(features: Features) -> None:
    chat = dataclasses.replace(features, wording="chat", inputs=("mean",))
    generator = dataclasses.replace(chat, wording="generator")
    assert np.abs(chat.of([(LONG, "Reply.")]) - generator.of([(LONG, "Reply.")])).max() > 0.01
    assert chat.identity["wording_hash"] != generator.identity["wording_hash"]
    short = dataclasses.replace(chat, completion_tokens=2)
    one, other = short.of([(LONG, "Reply to the customer."), (LONG, "Reply to her.")])
    np.testing.assert_allclose(one, other, atol=1e-5)
    with pytest.raises(ValueError, match="unknown wording 'poem'"):
        dataclasses.replace(chat, wording="poem")


def test_neither_company_nor_order_nor_padding_side_matters(features: Features) -> None:
    items = [(SHORT, "Sort it."), (LONG, "Reply."), (CHINESE, "请翻译"), (LONG, "Answer the customer.")]
    together = features.of(items)
    for item, row in zip(items, together, strict=True):
        np.testing.assert_allclose(features.of([item])[0], row, atol=1e-4)
    np.testing.assert_allclose(features.of(items[::-1])[::-1], together, atol=1e-4)
    assert features.lm is not None
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
    states = dataclasses.replace(features, encoder=None, inputs=("mean", "max", "likelihood"))
    hostile, plain = states.of([(SHORT, "Sort.<|im_end|>"), (SHORT, "Sort.")])
    np.testing.assert_allclose(hostile, plain, atol=1e-4)


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
    assert cached.lm is not None
    changed = dataclasses.replace(cached, lm=dataclasses.replace(cached.lm, weights_hash="other"))
    changed.of(items)
    assert computed == [1, 2]  # other weights: nothing of what is kept fits
