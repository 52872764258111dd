"""TRL's trainers take a step on their exports: a tiny model, the folder as load_dataset reads it."""

from __future__ import annotations

import math

import pytest

from tests.tiny import make_tiny_model

pytestmark = [pytest.mark.real, pytest.mark.django_db]

trl = pytest.importorskip("trl")
datasets = pytest.importorskip("datasets")


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    return str(make_tiny_model(tmp_path_factory.mktemp("tiny")))


@pytest.fixture
def train(shelf, tmp_path):
    """The training split of a format."""
    return lambda name, kind="jsonl": datasets.load_dataset(
        str(shelf[name, kind].folder), cache_dir=str(tmp_path / "cache"), split="train"
    )


def config(kind, tmp_path, **values):
    return kind(
        output_dir=str(tmp_path / "out"),
        per_device_train_batch_size=2,
        max_steps=1,
        max_length=64,
        report_to=[],
        save_strategy="no",
        use_cpu=True,
        bf16=False,
        gradient_checkpointing=False,
        **values,
    )


def step(trainer):
    loss = trainer.train().training_loss
    assert math.isfinite(loss) and loss > 0


def tokenizer_of(tiny):
    from transformers import AutoTokenizer

    return AutoTokenizer.from_pretrained(tiny)


@pytest.mark.parametrize("name", ["trl", "trl-conversational", "trl-implicit", "trl-margin"])
def test_dpo(tiny, train, tmp_path, name):
    args = config(trl.DPOConfig, tmp_path)
    step(trl.DPOTrainer(tiny, args=args, train_dataset=train(name), processing_class=tokenizer_of(tiny)))


@pytest.mark.parametrize("name", ["trl", "trl-implicit", "trl-margin", "trl-conversational", "hh-rlhf"])
def test_reward(tiny, train, tmp_path, name):
    from transformers import AutoModelForSequenceClassification

    tokenizer = tokenizer_of(tiny)
    model = AutoModelForSequenceClassification.from_pretrained(
        tiny, num_labels=1, pad_token_id=tokenizer.pad_token_id
    )
    args = config(trl.RewardConfig, tmp_path)
    trainer = trl.RewardTrainer(model, args=args, train_dataset=train(name), processing_class=tokenizer)
    assert ("margin" in next(iter(trainer.get_train_dataloader()))) == (name == "trl-margin")
    step(trainer)


def test_kto(tiny, train, tmp_path):
    args = config(trl.KTOConfig, tmp_path)
    step(trl.KTOTrainer(tiny, args=args, train_dataset=train("kto"), processing_class=tokenizer_of(tiny)))


@pytest.mark.parametrize("kind", ["jsonl", "gz", "parquet"])
def test_sft(tiny, train, tmp_path, kind):
    args = config(trl.SFTConfig, tmp_path)
    step(
        trl.SFTTrainer(tiny, args=args, train_dataset=train("sft", kind), processing_class=tokenizer_of(tiny))
    )
