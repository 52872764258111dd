"""A reward model with its backbone: a transformer (with LoRA, or trained in full) under a scalar head.

A completion is encoded once, however many pairs it is in; where the backbone is causal its prompt is encoded
once for all its completions, else texts of alike length are put together. Dropout is off.
"""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import nn

from rlhf.lm.backbones import UnknownModel, best_dtype, load_causal, load_encoder, resolve
from rlhf.lm.checkpoints import BadCheckpoint, read_manifest, write_manifest
from rlhf.lm.configs import LoraRewardConfig
from rlhf.lm.data import Task
from rlhf.lm.features import PROBE, Item
from rlhf.lm.first_token import FirstToken
from rlhf.lm.folders import new_folder
from rlhf.lm.layer_split import lowest, split
from rlhf.lm.product_attention import use_products
from rlhf.lm.prompting import generator_messages, generator_text, plain_chat_text, shorten
from rlhf.lm.scalar_head import ScalarHead
from rlhf.lm.token_trees import TokenTree, batches, packed
from rlhf.lm.trainable import is_causal, make_trainable

KIND = "reward_backbone"
WEIGHTS = "reward.safetensors"
ENCODER_TOKENS = 512
CHAT_TOKENS = 512
POOLINGS = ("last", "mean", "max", "mean+last", "mean+max", "max+last", "pooler")

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Row:
    """One sequence for the backbone: a prompt with its completions (causal), or one text with its prompt.

    `nodes[i]` are the places of the completion whose number is `items[i]`.
    """

    ids: list[int]
    items: list[int]
    nodes: list[list[int]]
    tree: TokenTree | None
    key: tuple[Any, ...]

    def __len__(self) -> int:
        return len(self.ids)


@dataclass
class RewardBackbone:
    """Scores completions of tasks. `fresh` makes one to train, `load` reads a trained one."""

    trunk: Any  # the transformer without its language head
    head: ScalarHead
    tokenizer: Any
    causal: bool
    config: LoraRewardConfig
    identity: dict[str, Any]
    dtype: torch.dtype
    temperature: float = 1.0
    _halves: tuple[Any, Any] | None = None
    _first_token: FirstToken | None = None
    _lower: dict[tuple[Any, ...], torch.Tensor] = field(default_factory=dict)
    _lower_bytes: int = 0
    _tokens: dict[Any, list[int]] = field(default_factory=dict)

    @classmethod
    def fresh(cls, config: LoraRewardConfig, models: Path) -> RewardBackbone:
        """The backbone with new adapters, which change nothing yet. Raises UnknownModel, ValueError."""
        if config.training not in ("lora", "full") or config.pooling not in ("", *POOLINGS):
            raise ValueError(f"no such training or pooling: {config.training!r}, {config.pooling!r}")
        dtype = best_dtype() if config.precision == "auto" else getattr(torch, config.precision)
        # Weights that are trained themselves stay in float32: bfloat16 would swallow small steps.
        kept = dtype if config.training == "lora" else torch.float32
        folder = resolve(config.backbone, models)
        causal = is_causal(folder)
        if causal:
            lm = load_causal(config.backbone, models, kept)
            trunk, tokenizer = lm.model.get_decoder(), lm.tokenizer
            weights_hash, template_hash = lm.weights_hash, lm.template_hash
        else:
            encoder = load_encoder(config.backbone, models)
            trunk, tokenizer = encoder.model.to(kept), encoder.tokenizer
            weights_hash, template_hash = encoder.weights_hash, ""
        if config.layers:
            trunk = lowest(trunk, config.layers)
        pooling = config.pooling or ("mean+last" if causal else "mean")
        config = dataclasses.replace(config, pooling=pooling)
        if pooling == "pooler" and getattr(trunk, "pooler", None) is None:
            raise ValueError(f"{config.backbone!r} has no pooler")
        trunk.eval()  # without dropout, which a reward model on few rankings gains nothing from
        trunk.requires_grad_(False)
        make_trainable(trunk, config)
        use_products(trunk)
        width = trunk.config.hidden_size * (1 + pooling.count("+"))
        identity = {
            "backbone": config.backbone,
            "weights_hash": weights_hash,
            "template_hash": template_hash,
        }
        made = cls(
            trunk, ScalarHead(width, config.seed).to(trunk.device), tokenizer, causal, config, identity, dtype
        )
        identity["wording"] = made.prompt_text(PROBE)
        if config.top_layers:
            made._halves = split(trunk, config.top_layers)
        elif pooling == "pooler" and FirstToken.fits(trunk):
            made._first_token = FirstToken(trunk)
        return made

    def trained(self) -> dict[str, nn.Parameter]:
        """What is learned, by name: adapters (or weights) and the head's weight."""
        parts = {f"trunk.{name}": p for name, p in self.trunk.named_parameters() if p.requires_grad}
        return {**parts, "head.weight": self.head.weight}

    def prompt_text(self, task: Task) -> str:
        """The words before a completion."""
        if not self.causal:
            return generator_messages(task, self.tokenizer)[-1]["content"]
        if self.config.wording == "chat":
            return plain_chat_text(self.tokenizer, task, CHAT_TOKENS)
        return generator_text(self.tokenizer, task)

    def rows(self, items: Sequence[Item]) -> list[Row]:
        """The sequences that hold the items. A causal model's completions of one task share theirs."""
        if not self.causal:
            rows = []
            for number, (task, text) in enumerate(items):
                ids = self._pair_ids(task, text)
                rows.append(Row(ids, [number], [list(range(len(ids)))], None, (task, text)))
            return rows
        of_task: dict[Task, list[int]] = {}
        for number, (task, _) in enumerate(items):
            of_task.setdefault(task, []).append(number)
        rows = []
        for task, numbers in of_task.items():
            tree = TokenTree()
            prompt = self._prompt_ids(task)
            end = tree.add(prompt)[-1]
            nodes = [tree.add(self._completion_ids(items[number][1]), after=end) for number in numbers]
            key = (tuple(prompt), *(items[number][1] for number in numbers))
            rows.append(Row(tree.ids, numbers, nodes, tree, key))
        return rows

    def forward(self, groups: Sequence[Sequence[Item]], *, keep: bool = False) -> torch.Tensor:
        """Scores of the groups' items one after the other, float32, with gradient. Shape: (N,).

        With `keep` what the lower layers give for a group is kept for the next time.
        """
        rows: list[Row] = []
        start = 0
        for group in groups:
            rows += [replace(row, items=[start + n for n in row.items]) for row in self.rows(group)]
            start += len(group)
        pooled: list[torch.Tensor] = []
        order: list[int] = []
        for places in batches(rows, tokens=self.config.batch_tokens):
            batch = [rows[place] for place in places]
            pooled.append(self._pooled(batch, keep=keep))
            order += [number for row in batch for number in row.items]
        back = torch.empty(len(order), dtype=torch.long)
        back[torch.tensor(order)] = torch.arange(len(order))
        return self.head(torch.cat(pooled)[back.to(self.head.weight.device)])  # type: ignore[no-any-return]

    @torch.no_grad()
    def pooled(self, items: Sequence[Item], *, keep: bool = False) -> torch.Tensor:
        """What the head reads, float32. Shape: (len(items), width)."""
        out = torch.zeros(len(items), len(self.head.weight))
        rows = self.rows(items)
        for places in batches(rows, tokens=self.config.batch_tokens):
            batch = [rows[place] for place in places]
            order = [number for row in batch for number in row.items]
            out[order] = self._pooled(batch, keep=keep).float().cpu()
        return out

    def score(self, items: Sequence[Item], *, keep: bool = False) -> Floats:
        """Shape: (len(items),). P(i above j) = σ((s_i - s_j) / temperature). `keep` as in `forward`."""
        if not items:
            return np.zeros(0)
        with torch.no_grad():
            scores = self.head(self.pooled(items, keep=keep).to(self.head.weight.device))
        return np.asarray(scores.double().cpu().numpy())

    def save(self, folder: Path, **fields: Any) -> Path:
        """Adapters (or trained weights) and head as safetensors. `fields` go into the manifest."""
        with new_folder(folder, replace=True) as aside:
            save_file(self.state(), aside / WEIGHTS)
            write_manifest(
                aside,
                kind=KIND,
                identity=self.identity,
                config=dataclasses.asdict(self.config),
                dtype=str(self.dtype).removeprefix("torch."),
                temperature=self.temperature,
                **fields,
            )
        return folder

    @classmethod
    def load(cls, folder: Path, models: Path) -> RewardBackbone:
        """Read a trained reward model and its backbone. Raises BadCheckpoint, saying what differs."""
        manifest = read_manifest(folder, kind=KIND)
        config = dataclasses.replace(LoraRewardConfig(**manifest["config"]), precision=manifest["dtype"])
        try:
            made = cls.fresh(config, models)
            tensors = load_file(folder / WEIGHTS)
        except UnknownModel as error:
            raise BadCheckpoint(f"a model that {folder} stands on is not there: {error}") from error
        except (OSError, SafetensorError) as error:
            raise BadCheckpoint(f"{folder / WEIGHTS} cannot be read: {error}") from error
        for name, wanted in manifest["identity"].items():
            if made.identity.get(name) != wanted:
                raise BadCheckpoint(
                    f"the reward model {folder} was trained with another {name} "
                    f"({str(wanted)[:40]!r}, here {str(made.identity.get(name))[:40]!r}); train it again"
                )
        made.restore(tensors)
        made.temperature = manifest["temperature"]
        return made

    def state(self) -> dict[str, torch.Tensor]:
        """A copy of what is learned and of the head's buffers."""
        tensors: dict[str, torch.Tensor] = dict(self.trained())
        tensors |= {f"head.{name}": buffer for name, buffer in self.head.named_buffers()}
        return {name: tensor.detach().cpu().clone().contiguous() for name, tensor in tensors.items()}

    @torch.no_grad()
    def restore(self, tensors: Mapping[str, torch.Tensor]) -> None:
        """Undo `state`. Raises BadCheckpoint if a tensor is missing, left over or of another shape."""
        own: dict[str, torch.Tensor] = dict(self.trained())
        own |= {f"head.{name}": buffer for name, buffer in self.head.named_buffers()}
        wrong = sorted(own.keys() ^ tensors.keys()) or sorted(
            name for name in own if own[name].shape != tensors[name].shape
        )
        if wrong:
            raise BadCheckpoint(f"the saved weights do not fit the model at {wrong[0]}")
        for name, tensor in own.items():
            tensor.copy_(tensors[name])

    def _pooled(self, rows: Sequence[Row], *, keep: bool) -> torch.Tensor:
        """What the head reads for the rows' completions, in the rows' order. Shape: (N, width)."""
        inputs = self._inputs(rows)
        with self._precision():
            if self._first_token:
                return self._first_token(**inputs)
            if self._halves:
                states = self._lower_states(rows, inputs, keep=keep)
                rest = {name: value for name, value in inputs.items() if name != "input_ids"}
                out = self._halves[1](inputs_embeds=states, **rest)
            else:
                out = self.trunk(**inputs)
        if self.config.pooling == "pooler":
            return torch.as_tensor(out.pooler_output)
        hidden = out.last_hidden_state  # (B, T, H)
        parts = []
        for name in self.config.pooling.split("+"):
            if name == "last":
                places = [(b, nodes[-1]) for b, row in enumerate(rows) for nodes in row.nodes]
                b, t = torch.tensor(places, device=hidden.device).T
                parts.append(hidden[b, t].float())
            elif name == "max":
                owned = [hidden[b, nodes].amax(0) for b, row in enumerate(rows) for nodes in row.nodes]
                parts.append(torch.stack(owned).float())
            else:
                weights, owners = self._means(rows, hidden)
                parts.append((weights @ hidden.float())[owners])
        return torch.cat(parts, dim=-1)

    def _means(self, rows: Sequence[Row], hidden: torch.Tensor) -> tuple[torch.Tensor, Any]:
        """Matrices that average each completion's tokens, (B, most completions, T), and which are used."""
        most = max(len(row.items) for row in rows)
        weights = torch.zeros(len(rows), most, hidden.shape[1])
        used = torch.zeros(len(rows), most, dtype=torch.bool)
        for b, row in enumerate(rows):
            for place, nodes in enumerate(row.nodes):
                weights[b, place, nodes] = 1 / len(nodes)
                used[b, place] = True
        return weights.to(hidden.device), used.to(hidden.device)

    def _inputs(self, rows: Sequence[Row]) -> dict[str, Any]:
        device = self.trunk.device
        if self.causal:
            trees = [row.tree for row in rows if row.tree is not None]
            if len(trees) < len(rows):
                raise ValueError("a causal model reads trees")
            return packed(trees, self.dtype, device)
        width = max(len(row) for row in rows)
        ids = torch.full((len(rows), width), self.tokenizer.pad_token_id or 0, dtype=torch.long)
        for b, row in enumerate(rows):
            ids[b, : len(row)] = torch.tensor(row.ids)
        there = torch.arange(width) < torch.tensor([[len(row)] for row in rows])  # (B, T)
        return {"input_ids": ids.to(device), "attention_mask": there.long().to(device)}

    def _lower_states(self, rows: Sequence[Row], inputs: dict[str, Any], *, keep: bool) -> torch.Tensor:
        """What the lower layers give, (B, T, H), from memory where all rows are there."""
        if self._halves is None:
            raise ValueError("the backbone is not cut in two")
        if keep and all(row.key in self._lower for row in rows):
            found = [self._lower[row.key] for row in rows]
            return nn.utils.rnn.pad_sequence(found, batch_first=True).to(self.trunk.device)
        with torch.no_grad():
            states: torch.Tensor = self._halves[0](**inputs).last_hidden_state
        if keep:
            for row, own in zip(rows, states, strict=True):
                size = len(row) * own.shape[-1] * own.element_size()
                if self._lower_bytes + size <= self.config.cache_megabytes * 1_000_000:
                    self._lower[row.key] = own[: len(row)].cpu().clone()
                    self._lower_bytes += size
        return states

    def _precision(self) -> contextlib.AbstractContextManager[Any]:
        mixed = self.config.training == "full" and self.dtype != torch.float32
        device = self.trunk.device.type
        return torch.autocast(device, dtype=self.dtype) if mixed else contextlib.nullcontext()

    def _prompt_ids(self, task: Task) -> list[int]:
        if task not in self._tokens:
            ids = self.tokenizer(self.prompt_text(task), add_special_tokens=False)["input_ids"]
            self._tokens[task] = ids
        return self._tokens[task]

    def _completion_ids(self, text: str) -> list[int]:
        """Its tokens and the one that ends it, so that no completion is empty."""
        if text not in self._tokens:
            short = shorten(self.tokenizer, text, self.config.completion_tokens)
            ids = self.tokenizer(short, add_special_tokens=False)["input_ids"]
            self._tokens[text] = [*ids, self.tokenizer.eos_token_id]
        return self._tokens[text]

    def _pair_ids(self, task: Task, text: str) -> list[int]:
        if (task, text) not in self._tokens:
            limit = min(ENCODER_TOKENS, self.trunk.config.max_position_embeddings)
            short = shorten(self.tokenizer, text, min(self.config.completion_tokens, limit // 2))
            # The prompt is cut, not the completion. No token types: the backbone saw single texts.
            pair = self.tokenizer(self.prompt_text(task), short, truncation="only_first", max_length=limit)
            self._tokens[task, text] = pair["input_ids"]
        return self._tokens[task, text]
