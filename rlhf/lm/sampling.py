"""Writes completions: prompts are prefilled once each, their completions decoded together over shared keys.

The cost of a decoding step hardly depends on the batch, so batches are large, and finished rows leave them.
A task's completions depend on the seed and the task alone, not on what else is in the batch. Left out:
sliding-window attention over more tokens than the window (refused) and beam search.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from transformers import AttentionInterface

from rlhf.lm.backbones import CausalLM
from rlhf.lm.configs import SamplingConfig
from rlhf.lm.data import Task
from rlhf.lm.drawing import draw
from rlhf.lm.packed_linear import packed_weights
from rlhf.lm.prompting import clean_completion, generator_ids
from rlhf.lm.tensors import pad_left


@dataclass(frozen=True)
class SampledCompletion:
    """One completion. `logprob` sums its tokens' log-probabilities under the model at temperature 1."""

    task_id: str
    text: str
    token_ids: tuple[int, ...]  # with the end token, where it was reached
    logprob: float
    finished: bool  # False: cut off at max_new_tokens


def sample(lm: CausalLM, tasks: Sequence[Task], config: SamplingConfig) -> Iterator[list[SampledCompletion]]:
    """Yield `completions_per_task` completions of one task after another (in order of prompt length)."""
    prompts = [generator_ids(lm.tokenizer, task) for task in tasks]
    order = sorted(range(len(tasks)), key=lambda i: len(prompts[i]))  # alike lengths together: less padding
    per_batch = max(1, config.batch_size // config.completions_per_task)
    for start in range(0, len(order), per_batch):
        chosen = order[start : start + per_batch]
        yield from decode(lm, [tasks[i] for i in chosen], [prompts[i] for i in chosen], config)


@torch.inference_mode()
def decode(
    lm: CausalLM, tasks: Sequence[Task], prompts: Sequence[Sequence[int]], config: SamplingConfig
) -> list[list[SampledCompletion]]:
    """Decode one batch: `completions_per_task` rows for each of the P prompts."""
    with packed_weights(lm.model):
        return _decode(lm, tasks, prompts, config)


def _decode(
    lm: CausalLM, tasks: Sequence[Task], prompts: Sequence[Sequence[int]], config: SamplingConfig
) -> list[list[SampledCompletion]]:
    per_task, steps = config.completions_per_task, config.max_new_tokens
    rows = len(prompts) * per_task
    uniforms = torch.cat([_uniforms(config, task.id) for task in tasks]).to(lm.device)  # (rows, steps, 2)
    tokens: list[list[int]] = [[] for _ in range(rows)]
    logprobs = [0.0] * rows
    finished = [False] * rows

    # 1. Prefill each prompt once; its last logits start all of its completions.
    ids, mask = pad_left(prompts, lm.tokenizer.pad_token_id, lm.device)  # (P, T)
    logits, prefix = prefill(lm, ids, mask)
    logits = logits.repeat_interleave(per_task, dim=0)  # (rows, V)
    cache = _SharedPrefix(prefix, mask, rows=rows, per_prompt=per_task, steps=steps)
    lengths = mask.sum(1).repeat_interleave(per_task)  # (rows,)
    alive = torch.arange(rows, device=lm.device)  # the row of `tokens` that each row of the batch writes

    with _attention_over_shared_prefix(lm.model):
        for step in range(steps):
            # 2. Draw a token for each row that is alive.
            chosen, logprob = draw(logits, uniforms[alive, step], config.temperature, config.top_p)
            going: list[int] = []
            for place, (row, token, value) in enumerate(
                zip(alive.tolist(), chosen.tolist(), logprob.tolist(), strict=True)
            ):
                if finished[row]:
                    continue
                tokens[row].append(token)
                logprobs[row] += value
                finished[row] = token in lm.end_ids
                if not finished[row]:
                    going.append(place)
            if not going or step + 1 == steps:
                break

            # 3. Drop finished rows, an eighth of the batch at a time, since dropping copies the cache.
            if len(going) <= len(alive) * 7 / 8:
                keep = torch.tensor(going, device=lm.device)
                alive, chosen = alive[keep], chosen[keep]
                cache.keep(keep)

            # 4. One forward pass over the new tokens.
            logits = lm.model(
                input_ids=chosen[:, None],
                position_ids=(lengths[alive] + step)[:, None],
                use_cache=False,
                shared_prefix=cache,
            ).logits[:, -1]

    completions = [
        SampledCompletion(
            task_id=tasks[row // per_task].id,
            text=clean_completion(lm.tokenizer.decode(tokens[row], skip_special_tokens=True)),
            token_ids=tuple(tokens[row]),
            logprob=logprobs[row],
            finished=finished[row],
        )
        for row in range(rows)
    ]
    return [completions[i : i + per_task] for i in range(0, rows, per_task)]


def prefill(
    lm: CausalLM, ids: torch.Tensor, mask: torch.Tensor
) -> tuple[torch.Tensor, list[tuple[torch.Tensor, torch.Tensor]]]:
    """Last logits (P, V) of left-padded prompts (P, T), and each layer's keys and values (P, Hkv, T, D).

    Prompts of one length are read together, without their padding.
    """
    sizes = mask.sum(1)
    logits: list[torch.Tensor | None] = [None] * len(ids)
    prefix: list[tuple[torch.Tensor, torch.Tensor]] = []
    for size in sorted(set(sizes.tolist())):
        which = (sizes == size).nonzero()[:, 0]
        out = lm.model(input_ids=ids[which, -size:], use_cache=True, logits_to_keep=1)
        for place, row in zip(which.tolist(), out.logits[:, -1], strict=True):
            logits[place] = row
        for n, layer in enumerate(out.past_key_values.layers):
            if n == len(prefix):
                whole = (len(ids), layer.keys.shape[1], ids.shape[1], layer.keys.shape[3])
                prefix.append((layer.keys.new_zeros(whole), layer.values.new_zeros(whole)))
            prefix[n][0][which, :, -size:] = layer.keys
            prefix[n][1][which, :, -size:] = layer.values
    return torch.stack([row for row in logits if row is not None]), prefix


def _uniforms(config: SamplingConfig, task_id: str) -> torch.Tensor:
    """The random numbers of one task's completions. Shape: (completions_per_task, max_new_tokens, 2)."""
    digest = hashlib.sha256(f"{config.seed}:{task_id}".encode()).digest()
    generator = torch.Generator().manual_seed(int.from_bytes(digest[:8], "little", signed=True))
    shape = (config.completions_per_task, config.max_new_tokens)
    return torch.stack([torch.rand(shape, generator=generator) for _ in range(2)], -1)


class _SharedPrefix:
    """Keys and values of a batch: the prompts' once a prompt, the completions' once a row.

    Shapes: `prefix` per layer (P, Hkv, T, D) twice; `suffix` (layers, 2, B, Hkv, steps, D). `slots` says
    which of the P·G places a row stands at, so that rows can leave in any order.
    """

    def __init__(
        self,
        prefix: list[tuple[torch.Tensor, torch.Tensor]],
        mask: torch.Tensor,
        *,
        rows: int,
        per_prompt: int,
        steps: int,
    ) -> None:
        keys = prefix[0][0]
        prompts, heads, self.prefix_tokens, size = keys.shape
        self.prefix = prefix
        self.bias = torch.zeros_like(mask, dtype=keys.dtype).masked_fill(mask == 0, float("-inf"))
        self.bias = self.bias.view(prompts, 1, 1, -1)  # (P, 1, 1, T)
        self.places = (prompts, per_prompt)
        self.slots: torch.Tensor | None = None  # None: all rows are there, in order
        self.suffix = keys.new_empty((len(prefix), 2, rows, heads, steps, size))
        self.filled = [0] * len(prefix)

    def keep(self, rows: torch.Tensor) -> None:
        """Let all other rows go."""
        self.slots = rows if self.slots is None else self.slots[rows]
        self.suffix = self.suffix[:, :, rows]

    def append(self, layer: int, key: torch.Tensor, value: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Store the new token's key and value (B, Hkv, 1, D); give all of the completions' so far."""
        at = self.filled[layer]
        self.suffix[layer, 0, :, :, at] = key[:, :, 0]
        self.suffix[layer, 1, :, :, at] = value[:, :, 0]
        self.filled[layer] = at + 1
        return self.suffix[layer, 0, :, :, : at + 1], self.suffix[layer, 1, :, :, : at + 1]

    def attend(self, layer: int, query: torch.Tensor, key: torch.Tensor, value: torch.Tensor) -> torch.Tensor:
        """Attention of one scaled query a row over its prompt and its own tokens. Shape: (B, 1, Hq, D)."""
        (rows, heads), size = key.shape[:2], query.shape[-1]
        prefix_keys, prefix_values = self.prefix[layer]
        keys, values = self.append(layer, key, value)
        query = query.reshape(rows, heads, -1, size)  # (B, Hkv, R, D)

        over_prefix = self.by_row(self.by_prompt(query) @ prefix_keys.transpose(2, 3) + self.bias)
        # Keys on the left: in bfloat16 the product the other way round takes twice as long.
        over_own = (keys @ query.transpose(2, 3)).transpose(2, 3)  # (B, Hkv, R, t)
        weights = torch.cat([over_prefix, over_own], -1).softmax(-1, dtype=torch.float32).to(value.dtype)
        from_prefix = self.by_prompt(weights[..., : self.prefix_tokens]) @ prefix_values
        out = self.by_row(from_prefix) + weights[..., self.prefix_tokens :] @ values
        return out.reshape(rows, 1, -1, size)

    def by_prompt(self, rows: torch.Tensor) -> torch.Tensor:
        """All rows of a prompt in one matrix, which meets its keys: (B, Hkv, R, X) -> (P, Hkv, G·R, X)."""
        (prompts, group), (_, heads, repeats, size) = self.places, rows.shape
        if self.slots is not None:
            placed = rows.new_zeros((prompts * group, heads, repeats, size))
            placed[self.slots] = rows
            rows = placed
        return rows.view(prompts, group, heads, repeats, size).transpose(1, 2).flatten(2, 3)

    def by_row(self, grouped: torch.Tensor) -> torch.Tensor:
        """The way back: (P, Hkv, G·R, X) -> (B, Hkv, R, X)."""
        (prompts, group), (_, heads, _, size) = self.places, grouped.shape
        rows = grouped.view(prompts, heads, group, -1, size).transpose(1, 2).flatten(0, 1)
        return rows if self.slots is None else rows[self.slots]


def _attention(
    module: Any,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: torch.Tensor | None,
    *,
    scaling: float,
    shared_prefix: _SharedPrefix,
    sliding_window: int | None = None,
    **_: Any,
) -> tuple[torch.Tensor, None]:
    """transformers' attention interface: queries (B, Hq, 1, D), keys and values (B, Hkv, 1, D), rotated."""
    tokens = shared_prefix.prefix_tokens + shared_prefix.suffix.shape[4]
    if sliding_window is not None and tokens > sliding_window:
        raise ValueError(f"{tokens} tokens do not fit the model's attention window of {sliding_window}")
    return shared_prefix.attend(module.layer_idx, query * scaling, key, value), None


AttentionInterface.register("shared_prefix", _attention)


@contextmanager
def _attention_over_shared_prefix(model: Any) -> Iterator[None]:
    base = model.get_base_model() if hasattr(model, "get_base_model") else model
    before = base.config._attn_implementation
    base.set_attn_implementation("shared_prefix")
    try:
        yield
    finally:
        base.set_attn_implementation(before)
