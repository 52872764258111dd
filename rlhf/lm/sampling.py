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
from rlhf.lm.prompting import clean_completion, generator_ids
from rlhf.lm.tensors import pad_left

TOP_P_CANDIDATES = 512  # sorting 49,000 tokens a row costs more than the model does


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
    per_task, steps = config.completions_per_task, config.max_new_tokens
    rows = len(prompts) * per_task
    uniforms = torch.cat([_uniforms(config, task.id) for task in tasks]).to(lm.device)  # (rows, steps)
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
    """Last logits (P, V) of left-padded prompts (P, T), and each layer's keys and values (P, Hkv, T, D)."""
    positions = (mask.cumsum(1) - 1).clamp(min=0)
    out = lm.model(
        input_ids=ids, attention_mask=mask, position_ids=positions, use_cache=True, logits_to_keep=1
    )
    return out.logits[:, -1], [(layer.keys, layer.values) for layer in out.past_key_values.layers]


def draw(
    logits: torch.Tensor, uniforms: torch.Tensor, temperature: float, top_p: float
) -> tuple[torch.Tensor, torch.Tensor]:
    """One token a row by inverting the cumulative distribution at `uniforms` in [0, 1).

    Shapes: logits (B, V), uniforms (B,) -> tokens (B,) and their log-probabilities at temperature 1 (B,).
    (`torch.multinomial` takes forty times as long on such a vocabulary.)
    """
    logits = logits.float()
    if temperature == 0:
        tokens = logits.argmax(-1)
    else:
        probabilities = (logits / temperature).softmax(-1)
        if top_p < 1:
            values, order = _nucleus(probabilities, top_p)
            tokens = order.gather(1, _invert(values, uniforms)[:, None])[:, 0]
        else:
            tokens = _invert(probabilities, uniforms)
    return tokens, logits.gather(1, tokens[:, None])[:, 0] - logits.logsumexp(-1)


def _nucleus(probabilities: torch.Tensor, top_p: float) -> tuple[torch.Tensor, torch.Tensor]:
    """The likeliest tokens that together reach `top_p`, sorted, the rest set to zero. Shapes: (B, K)."""
    values, order = probabilities.topk(min(TOP_P_CANDIDATES, probabilities.shape[-1]))
    if bool((values.sum(-1) < top_p).any()):  # a flat row: its nucleus is larger than the candidates
        values, order = probabilities.sort(descending=True)
    before = values.cumsum(-1) - values
    return values.masked_fill(before >= top_p, 0.0), order


def _invert(weights: torch.Tensor, uniforms: torch.Tensor) -> torch.Tensor:
    """The first place where the cumulative weight passes `uniforms` of the total: (B, K), (B,) -> (B,)."""
    cumulative = weights.cumsum(-1)
    found = torch.searchsorted(cumulative, uniforms[:, None] * cumulative[:, -1:], right=True)[:, 0]
    last = weights.shape[-1] - 1 - (weights.flip(-1) > 0).int().argmax(-1)  # rounding must not pass the end
    return torch.minimum(found, last)


def _uniforms(config: SamplingConfig, task_id: str) -> torch.Tensor:
    """The random numbers of one task's completions. Shape: (completions_per_task, max_new_tokens)."""
    digest = hashlib.sha256(f"{config.seed}:{task_id}".encode()).digest()
    generator = torch.Generator().manual_seed(int.from_bytes(digest[:8], "little", signed=True))
    return torch.rand((config.completions_per_task, config.max_new_tokens), generator=generator)


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
        self.slots = torch.arange(rows, device=keys.device)
        self.suffix = keys.new_empty((len(prefix), 2, rows, heads, steps, size))
        self.filled = [0] * len(prefix)

    def keep(self, rows: torch.Tensor) -> None:
        """Let all other rows go."""
        self.slots = self.slots[rows]
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
        (prompts, group), heads = self.places, key.shape[1]
        rows, size = query.shape[0], query.shape[-1]
        repeats = query.shape[1] // heads
        prefix_keys, prefix_values = self.prefix[layer]
        keys, values = self.append(layer, key, value)
        query = query.view(rows, heads, repeats, size)

        # All rows of a prompt meet its keys in one product: (P, Hkv, G·R, D) x (P, Hkv, D, T).
        placed = query.new_zeros((prompts * group, heads, repeats, size))
        placed[self.slots] = query
        placed = placed.view(prompts, group, heads, repeats, size).transpose(1, 2)
        over_prefix = placed.reshape(prompts, heads, -1, size) @ prefix_keys.transpose(2, 3) + self.bias
        over_prefix = over_prefix.view(prompts, heads, group, repeats, -1).transpose(1, 2)
        over_prefix = over_prefix.reshape(prompts * group, heads, repeats, -1)[self.slots]  # (B, Hkv, R, T)
        over_own = query @ keys.transpose(2, 3)  # (B, Hkv, R, t)

        weights = torch.cat([over_prefix, over_own], -1).float().softmax(-1).to(value.dtype)
        out = weights[..., self.prefix_tokens :] @ values  # (B, Hkv, R, D)

        placed = weights.new_zeros((prompts * group, heads, repeats, self.prefix_tokens))
        placed[self.slots] = weights[..., : self.prefix_tokens]
        placed = placed.view(prompts, group, heads, repeats, -1).transpose(1, 2)
        from_prefix = placed.reshape(prompts, heads, group * repeats, -1) @ prefix_values
        from_prefix = from_prefix.view(prompts, heads, group, repeats, size).transpose(1, 2)
        out = out + from_prefix.reshape(prompts * group, heads, repeats, size)[self.slots]
        return out.reshape(rows, 1, heads * repeats, size)


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
