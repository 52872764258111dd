"""Training a reward model's backbone: losses by hand, it learns, resumes, and loads to the same score."""

from __future__ import annotations

import dataclasses
import itertools
import json
import math
from pathlib import Path

import numpy as np
import pytest
import torch

from rlhf.lm.backbones import load_causal
from rlhf.lm.checkpoints import BadCheckpoint
from rlhf.lm.configs import LoraRewardConfig
from rlhf.lm.data import Dataset, Judgment, Record, Task
from rlhf.lm.layer_split import CannotSplit
from rlhf.lm.reward_backbone import RewardBackbone
from rlhf.lm.reward_lora import SURE, chunk_loss, comparisons_of, train
from tests.tiny import make_tiny_models

TASKS = {str(i): Task(id=str(i), text=f"Sort list {i}", held_out=i > 7) for i in range(10)}
DATA = Dataset(
    TASKS,
    tuple(
        Judgment(str(i), str(i), "bob", (f"list list {i}", "polite " + "x" * i, "sort it"), (1, 2, 3))
        for i in range(10)
    ),
)
ITEMS = [(TASKS["9"], "list the number"), (TASKS["9"], "sort it"), (TASKS["1"], "list")]
CONFIG = LoraRewardConfig(
    epochs=3, comparisons_per_step=4, learning_rate=5e-3, precision="float32", save_every=1
)


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_tiny_models(tmp_path_factory.mktemp("models"))


def config_of(models: Path, name: str, **changes: object) -> LoraRewardConfig:
    return dataclasses.replace(CONFIG, backbone=str(models / name), **changes)  # type: ignore[arg-type]


def numbers(records: list[Record]) -> list[object]:
    clock = {"seconds", "comparisons_per_s"}
    return [(r.step, {k: v for k, v in r.values.items() if k not in clock}) for r in records]


class Fixed:
    """Gives the scores 2.0, 0.5 and 1.0 to the three completions of a comparison."""

    def forward(self, groups: list[object], *, keep: bool) -> torch.Tensor:
        return torch.tensor([2.0, 0.5, 1.0])[: len(groups[0])]  # type: ignore[arg-type]


def loss_of(judgment: Judgment, **changes: object) -> float:
    (comparison,) = comparisons_of(Dataset(TASKS, (judgment,)), {"bob": 0}, held_out=False)
    config = dataclasses.replace(CONFIG, centring=0.0, **changes)  # type: ignore[arg-type]
    share = 1 / sum(comparison.weights)
    loss, _ = chunk_loss(Fixed(), [comparison], torch.tensor([SURE]), config, share=share)  # type: ignore[arg-type]
    return float(loss)


def test_at_two_completions_the_loss_is_the_usual_one_by_hand() -> None:
    # -ln sigmoid(2.0 - 0.5) = ln(1 + e^-1.5) = ln 1.223130 = 0.201413
    assert loss_of(Judgment("j", "1", "bob", ("a", "b"), (1, 2))) == pytest.approx(0.201413, abs=1e-5)
    # the other way round: ln(1 + e^1.5) = 1.701413
    assert loss_of(Judgment("j", "1", "bob", ("a", "b"), (2, 1))) == pytest.approx(1.701413, abs=1e-5)


def test_three_completions_give_the_mean_of_their_three_pairs() -> None:
    # a over c over b: margins 1.5, 1.0, 0.5: (0.201413 + 0.313262 + 0.474077) / 3 = 0.329584
    judgment = Judgment("j", "1", "bob", ("a", "b", "c"), (1, 3, 2))
    assert loss_of(judgment) == pytest.approx(0.329584, abs=1e-5)


def test_strength_asks_for_a_lead() -> None:
    # better (2) at half a point a level: ln(1 + e^-(1.5 - 1.0)) = 0.474077
    judgment = Judgment("j", "1", "bob", ("a", "b"), (1, 2), strength=2)
    assert loss_of(judgment, strength_margin=0.5) == pytest.approx(0.474077, abs=1e-5)


@pytest.mark.parametrize(
    ("name", "training", "changes"),
    [
        ("lm", "lora", {}),
        ("lm", "lora", {"top_layers": 1}),
        ("lm", "lora", {"layers": 1, "pooling": "mean+max"}),
        ("lm", "full", {}),
        ("encoder", "lora", {}),
        ("encoder", "full", {}),
        ("lm", "lora", {"precision": "bfloat16"}),
        ("lm", "full", {"precision": "bfloat16"}),
        ("encoder", "lora", {"precision": "bfloat16"}),
        ("encoder", "full", {"precision": "bfloat16"}),
    ],
)
def test_it_learns_and_loads_to_the_same_scores(
    models: Path, tmp_path: Path, name: str, training: str, changes: dict[str, object]
) -> None:
    config = config_of(models, name, training=training, epochs=6, **changes)
    backbone = RewardBackbone.fresh(config, models)
    records = list(train(config, dataset=DATA, backbone=backbone, folder=tmp_path))
    assert records[-2].values["loss"] < records[0].values["loss"]
    loaded = RewardBackbone.load(tmp_path / "reward", models)
    np.testing.assert_array_equal(loaded.score(ITEMS), backbone.score(ITEMS))
    assert not list(tmp_path.rglob("*.bin")) + list(tmp_path.rglob("*.pt"))


def test_the_middle_is_read_as_it_is(models: Path) -> None:
    backbone = RewardBackbone.fresh(config_of(models, "lm", layers=1, pooling="mean+max"), models)
    whole = load_causal(str(models / "lm"), models, torch.float32).model
    (row,) = backbone.rows(ITEMS[:1])
    with torch.no_grad():
        states = whole(torch.tensor([row.ids]), output_hidden_states=True).hidden_states[1][0, row.nodes[0]]
    expected = torch.cat([states.mean(0), states.amax(0)])
    np.testing.assert_allclose(backbone.pooled(ITEMS[:1])[0], expected, atol=1e-5)
    with pytest.raises(CannotSplit, match="layers is 2; the model has 2"):
        RewardBackbone.fresh(config_of(models, "lm", layers=2), models)


@pytest.mark.parametrize("name", ["lm", "encoder"])
def test_neither_company_nor_padding_side_changes_a_score(models: Path, name: str) -> None:
    backbone = RewardBackbone.fresh(config_of(models, name), models)
    items = [*ITEMS, (TASKS["2"], "write the sentence " * 12)]
    together = backbone.score(items)
    np.testing.assert_allclose([backbone.score([item])[0] for item in items], together, atol=1e-5)
    side = backbone.tokenizer.padding_side
    backbone.tokenizer.padding_side = "right" if side == "left" else "left"
    np.testing.assert_allclose(backbone.score(items), together, atol=1e-5)


def test_a_shared_prompt_gives_what_single_sequences_give(models: Path) -> None:
    backbone = RewardBackbone.fresh(config_of(models, "lm", pooling="last"), models)
    task, text = ITEMS[0]
    tokenize = backbone.tokenizer
    ids = tokenize(backbone.prompt_text(task) + text, add_special_tokens=False)["input_ids"]
    with torch.no_grad():
        states = backbone.trunk(torch.tensor([[*ids, tokenize.eos_token_id]])).last_hidden_state
    expected = float(backbone.head(states[:, -1]).detach())
    assert backbone.score([ITEMS[1], ITEMS[0]])[1] == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize(
    ("name", "pooling"), [("lm", "mean+last"), ("encoder", "mean"), ("encoder", "pooler")]
)
def test_in_bfloat16_gradients_are_as_near_to_float32_as_with_pefts_layers_and_fused_attention(
    models: Path, monkeypatch: pytest.MonkeyPatch, name: str, pooling: str
) -> None:
    (comparison,) = comparisons_of(Dataset(TASKS, DATA.judgments[:1]), {"bob": 0}, held_out=False)

    def gradients(precision: str) -> torch.Tensor:
        config = config_of(models, name, precision=precision, pooling=pooling)
        backbone = RewardBackbone.fresh(config, models)
        random = torch.Generator().manual_seed(0)
        for parameter in backbone.trained().values():  # adapters that do something
            parameter.data += 0.1 * torch.randn(parameter.shape, generator=random)
        loss, _ = chunk_loss(backbone, [comparison], torch.tensor([SURE]), config, share=1 / 3)
        loss.backward()  # type: ignore[no-untyped-call]
        return torch.cat([p.grad.flatten() for p in backbone.trained().values() if p.grad is not None])

    ours = gradients("bfloat16")
    monkeypatch.setattr("rlhf.lm.reward_backbone.use_products", lambda trunk: None)
    monkeypatch.setattr("rlhf.lm.trainable.use_whole_products", lambda trunk: None)
    right, theirs = gradients("float32"), gradients("bfloat16")
    error, usual = ((found - right).norm() / right.norm() for found in (ours, theirs))
    assert 0 < error < 1.5 * usual


def test_training_only_upper_layers_gives_the_same_losses_from_memory(models: Path) -> None:
    losses = []
    for megabytes in (0, 100):
        config = config_of(models, "lm", top_layers=1, cache_megabytes=megabytes)
        records = list(train(config, dataset=DATA, backbone=RewardBackbone.fresh(config, models)))
        losses.append([r.values["loss"] for r in records[:-1]])
    assert losses[0] == pytest.approx(losses[1], abs=1e-5)


@pytest.mark.parametrize("name", ["lm", "encoder"])
def test_a_killed_run_resumes_to_the_same_numbers(models: Path, tmp_path: Path, name: str) -> None:
    config = config_of(models, name)
    whole = RewardBackbone.fresh(config, models)
    expected = list(train(config, dataset=DATA, backbone=whole, folder=tmp_path / "whole"))
    first = train(
        config, dataset=DATA, backbone=RewardBackbone.fresh(config, models), folder=tmp_path / "cut"
    )
    list(itertools.islice(first, 3))
    first.close()  # type: ignore[attr-defined]
    again = RewardBackbone.fresh(config, models)
    got = list(train(config, dataset=DATA, backbone=again, folder=tmp_path / "cut"))
    assert numbers(got) == numbers(expected)
    np.testing.assert_array_equal(again.score(ITEMS), whole.score(ITEMS))


def test_another_chat_template_is_refused(models: Path, tmp_path: Path) -> None:
    RewardBackbone.fresh(config_of(models, "lm"), models).save(tmp_path / "reward")
    manifest = json.loads((tmp_path / "reward/manifest.json").read_text())
    manifest["identity"]["template_hash"] = "0" * 64
    (tmp_path / "reward/manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(BadCheckpoint, match="another template_hash"):
        RewardBackbone.load(tmp_path / "reward", models)


def test_ties_alone_teach_nothing(models: Path) -> None:
    config = config_of(models, "lm")
    ties = Dataset(TASKS, (Judgment("j", "1", "bob", ("a", "b"), (1, 1)),))
    with pytest.raises(ValueError, match="nothing to learn"):
        next(iter(train(config, dataset=ties, backbone=RewardBackbone.fresh(config, models))))


def test_the_probe_begins_below_chance_loss(models: Path) -> None:
    config = config_of(models, "lm", probe_l2=1.0)
    first = next(iter(train(config, dataset=DATA, backbone=RewardBackbone.fresh(config, models))))
    assert first.values["loss"] < math.log(2)
