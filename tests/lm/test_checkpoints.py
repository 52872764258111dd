"""Policy checkpoints: a chain of adapters that loads to what was saved, or says why not."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from rlhf.lm import checkpoints
from rlhf.lm.backbones import CausalLM, load_causal
from rlhf.lm.checkpoints import BadCheckpoint, WrongKind, load_policy, merge_adapters, read_manifest
from rlhf.lm.folders import DiskFull, new_folder
from tests.tiny import make_tiny_model

IDS = torch.tensor([[5, 6, 7, 8]])


@pytest.fixture
def tiny(tmp_path: Path) -> Path:
    return make_tiny_model(tmp_path / "model")


def trained(lm: CausalLM, folder: Path, *, seed: int) -> torch.Tensor:
    """Put a random adapter on the model, save it as a policy, and give the logits it made."""
    model = checkpoints.add_lora(lm.model, lora_r=4, lora_alpha=8, seed=seed)
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.requires_grad:
                parameter.copy_(torch.randn(parameter.shape, generator=generator) / 4)
        logits: torch.Tensor = model(IDS).logits
    lora, tensors = model.peft_config["default"], checkpoints.adapter_tensors(model)
    checkpoints.save_policy(folder, lm, lora=lora, tensors=tensors, config={"steps": 1}, seed=seed)
    return logits


def logits_of(lm: CausalLM) -> torch.Tensor:
    with torch.no_grad():
        logits: torch.Tensor = lm.model(IDS).logits
    return logits


def test_a_chain_of_two_loads_to_what_was_saved(tiny: Path, tmp_path: Path) -> None:
    base = load_causal(str(tiny), tmp_path, torch.float32)
    before = logits_of(base)
    first = trained(base, tmp_path / "one", seed=1)
    assert (first - before).abs().max() > 0.1
    one = load_policy(tmp_path / "one", tmp_path, torch.float32)
    torch.testing.assert_close(logits_of(one), first, atol=1e-4, rtol=1e-4)

    second = trained(one, tmp_path / "two", seed=2)
    two = load_policy(tmp_path / "two", tmp_path, torch.float32)
    torch.testing.assert_close(logits_of(two), second, atol=1e-4, rtol=1e-4)
    assert len({lm.weights_hash for lm in (base, one, two)} - {base.weights_hash}) == 2

    manifest = read_manifest(tmp_path / "two", kind="policy")
    assert manifest["adapters"] == ["adapters/0", "adapters/1"]
    assert (manifest["base"], manifest["parent"], manifest["seed"]) == (str(tiny), "one", 2)
    # It stands alone: the first checkpoint can go.
    (tmp_path / "one").rename(tmp_path / "gone")
    torch.testing.assert_close(logits_of(load_policy(tmp_path / "two", tmp_path, torch.float32)), second,
                               atol=1e-4, rtol=1e-4)  # fmt: skip


def test_merging_by_hand() -> None:
    weights = {"layer.weight": torch.tensor([[1.0, 0.0], [0.0, 1.0]])}
    adapter = {
        "base_model.model.layer.lora_A.weight": torch.tensor([[1.0, 2.0]]),
        "base_model.model.layer.lora_B.weight": torch.tensor([[3.0], [4.0]]),
    }
    # I + 2 · [3, 4]ᵀ [1, 2]
    merged = merge_adapters(weights, [(adapter, 2.0)])
    assert merged["layer.weight"].tolist() == [[7.0, 12.0], [8.0, 17.0]]
    assert merge_adapters(weights, [(adapter, 2.0), (adapter, -2.0)])["layer.weight"].tolist() == [
        [1.0, 0.0],
        [0.0, 1.0],
    ]


def test_small_changes_are_not_swallowed_one_by_one() -> None:
    # In bfloat16 1 + 0.003 is 1, but 1 + 2 · 0.003 is not: it is nearest to 1.0078125.
    weights = {"layer.weight": torch.ones(1, 1, dtype=torch.bfloat16)}
    adapter = {
        "base_model.model.layer.lora_A.weight": torch.tensor([[1.0]]),
        "base_model.model.layer.lora_B.weight": torch.tensor([[0.003]]),
    }
    assert merge_adapters(weights, [(adapter, 1.0)])["layer.weight"].item() == 1.0
    assert merge_adapters(weights, [(adapter, 1.0)] * 2)["layer.weight"].item() == 1.0078125


def test_another_base_is_refused(tiny: Path, tmp_path: Path) -> None:
    trained(load_causal(str(tiny), tmp_path, torch.float32), tmp_path / "one", seed=1)
    make_tiny_model(tiny, seed=9)
    with pytest.raises(BadCheckpoint, match=r"another.*weights_hash"):
        load_policy(tmp_path / "one", tmp_path)


def test_another_chat_template_is_refused(tiny: Path, tmp_path: Path) -> None:
    trained(load_causal(str(tiny), tmp_path, torch.float32), tmp_path / "one", seed=1)
    (tiny / "chat_template.jinja").write_text("{{ messages[0]['content'] }}")
    with pytest.raises(BadCheckpoint, match="template_hash"):
        load_policy(tmp_path / "one", tmp_path)


def test_a_missing_base_is_named(tiny: Path, tmp_path: Path) -> None:
    trained(load_causal(str(tiny), tmp_path, torch.float32), tmp_path / "one", seed=1)
    tiny.rename(tmp_path / "elsewhere")
    with pytest.raises(BadCheckpoint, match=r"the base of .*one is not there"):
        load_policy(tmp_path / "one", tmp_path)


def test_damaged_adapters_are_refused(tiny: Path, tmp_path: Path) -> None:
    trained(load_causal(str(tiny), tmp_path, torch.float32), tmp_path / "one", seed=1)
    path = tmp_path / "one" / "adapters" / "0" / checkpoints.ADAPTER
    tensors = {name: tensor + 1 for name, tensor in load_file(path).items()}
    save_file(tensors, path)
    with pytest.raises(BadCheckpoint, match="damaged"):
        load_policy(tmp_path / "one", tmp_path)
    path.unlink()
    with pytest.raises(BadCheckpoint, match="missing"):
        load_policy(tmp_path / "one", tmp_path)


def test_an_adapter_that_does_not_fit_is_refused() -> None:
    adapter = {
        "base_model.model.layer.lora_A.weight": torch.ones(1, 3),
        "base_model.model.layer.lora_B.weight": torch.ones(2, 1),
    }
    for weights in ({"layer.weight": torch.ones(2, 2)}, {"other.weight": torch.ones(2, 3)}):
        with pytest.raises(BadCheckpoint, match=r"does not fit the model at layer\.weight"):
            merge_adapters(weights, [(adapter, 1.0)])


def test_the_wrong_kind_and_no_checkpoint_are_told_apart(tmp_path: Path) -> None:
    with new_folder(tmp_path / "reward") as folder:
        checkpoints.write_manifest(folder, kind="reward")
    with pytest.raises(WrongKind, match="is a reward checkpoint; a policy checkpoint is needed"):
        load_policy(tmp_path / "reward", tmp_path)
    assert read_manifest(tmp_path / "reward", kind="reward")["kind"] == "reward"
    with pytest.raises(BadCheckpoint, match=r"no manifest\.json"):
        load_policy(tmp_path, tmp_path)
    (tmp_path / "manifest.json").write_text("{")
    with pytest.raises(BadCheckpoint, match="cannot be read"):
        load_policy(tmp_path, tmp_path)
    (tmp_path / "manifest.json").write_text(json.dumps({"kind": "policy", "format": 99}))
    with pytest.raises(BadCheckpoint, match="format 99"):
        load_policy(tmp_path, tmp_path)


def test_a_full_disk_leaves_no_checkpoint(
    tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(checkpoints, "save_file", full)
    with pytest.raises(DiskFull):
        trained(load_causal(str(tiny), tmp_path, torch.float32), tmp_path / "one", seed=1)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["model"]
