"""Fluency, consistency and variety: against a plain forward pass, and by hand."""

import numpy as np
import pytest
import torch

from rlhf.lm.backbones import load_causal, load_encoder
from rlhf.lm.data import Example, Task
from rlhf.lm.text_measures import (
    consistencies,
    log_perplexities,
    similarities,
    task_words,
    varieties,
)
from tests.tiny import make_tiny_models

TASK = Task("1", "Sort the words.", (Example("b a", "a b"),), (Example("d c", "c d"),))
OTHER = Task("2", "Translate.")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return make_tiny_models(tmp_path_factory.mktemp("models"))


def test_log_perplexity_is_that_of_a_plain_forward_pass(folder):
    lm = load_causal(str(folder / "lm"), folder, torch.float32)
    texts = ["write a word", "", "sort each number in a list", "write a word"]
    found = log_perplexities(lm, texts)
    assert found[1] is None and found[0] == found[3]
    for place in (0, 2):
        ids = lm.tokenizer(texts[place], add_special_tokens=False)["input_ids"]
        with torch.no_grad():
            logits = lm.model(torch.tensor([[lm.tokenizer.bos_token_id, *ids]])).logits[0].log_softmax(-1)
        plain = -np.mean([float(logits[at, token]) for at, token in enumerate(ids)])
        assert found[place] == pytest.approx(plain, abs=1e-4)


def test_consistency_is_the_cosine_with_the_task(folder):
    encoder = load_encoder(str(folder / "encoder"), folder)
    copied = task_words(TASK)
    found = consistencies(encoder, [(TASK, copied), (TASK, "write"), (OTHER, "write"), (TASK, " ")])
    assert found[0] == pytest.approx(1)
    task, text = encoder.encode([copied, "write"])
    assert found[1] == pytest.approx(float(task @ text), abs=1e-5)
    assert found[1] != found[2] and found[3] is None


def test_the_encoder_reads_nothing_held_out():
    assert task_words(TASK) == "Sort the words.\nb a → a b"
    assert task_words(OTHER) == "Translate."


def test_variety_and_self_similarity_by_hand():
    """Of task 1: pairs "sort the", "the words", "sort the", "the list": 3 of 4; words: 2 shared of 4."""
    items = [(TASK, "Sort the words."), (TASK, "Sort the list."), (OTHER, "Translate it.")]
    assert varieties(items, 2) == {"1": 0.75, "2": 1.0}
    assert similarities(items) == {"1": 0.5}


@pytest.mark.real
def test_a_sentence_is_more_fluent_than_its_words_mixed_up(settings):
    lm = load_causal("smollm2", settings.MODELS_DIR)
    good, mixed = log_perplexities(
        lm, ["Write the plural of the given word.", "word the plural Write given the of."]
    )
    assert good < mixed


@pytest.mark.real
def test_what_is_about_the_task_is_more_consistent(settings):
    encoder = load_encoder("minilm", settings.MODELS_DIR)
    task = Task("1", "Answer customers who wait for a parcel.")
    good, other = consistencies(
        encoder,
        [(task, "Tell the customer when the delivery will arrive.")] * 1
        + [(task, "Write the plural of the word.")],
    )
    assert good > other
