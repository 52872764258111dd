"""Trains a policy on texts that are there already, with LoRA: the loop that SFT and DPO share.

What is learned from a task's texts is a loss on their log-probabilities; sft.py and dpo.py say which.
"""

from __future__ import annotations

import copy
import dataclasses
import math
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from peft import set_peft_model_state_dict

from rlhf.lm.backbones import CausalLM
from rlhf.lm.checkpoints import adapter_tensors, add_lora, leave_policy
from rlhf.lm.configs import OfflineConfig
from rlhf.lm.data import Record, Sample, Task, refuse_held_out
from rlhf.lm.gold_along import Judge
from rlhf.lm.lora_linear import without_lora
from rlhf.lm.over_optimisation import is_due
from rlhf.lm.policy_samples import beside, put_into, write
from rlhf.lm.processes import ALONE, Processes
from rlhf.lm.prompting import generator_ids
from rlhf.lm.q_heads import refuse_q_heads
from rlhf.lm.tensors import PackedGroup, completion_logits, pack_group, sum_by_owner, token_logprobs
from rlhf.lm.training_state import (
    hash_of,
    load_state,
    optimizer_tensors,
    record_from_json,
    record_to_json,
    restore_optimizer,
    run_identity,
    save_state,
    spread,
    under_prefix,
    with_prefix,
)


@dataclass(frozen=True)
class Group:
    """Texts of one task. What is said of them is the loss's business, by the group's number."""

    task: Task
    texts: tuple[str, ...]


Loss = Callable[[int, torch.Tensor, torch.Tensor, torch.Tensor], tuple[torch.Tensor, dict[str, float]]]
"""Of a group's number, log π and log π_ref of its texts, and their tokens, (G,) each: loss and figures."""


def train(
    config: OfflineConfig,
    *,
    policy: CausalLM,
    groups: Sequence[Group],
    loss: Loss,
    facts: Any,
    folder: Path,
    judge: Judge | None = None,
    code_version: str = "",
    processes: Processes = ALONE,
) -> Iterator[Record]:
    """Train; yield one record an update, saved in `folder` before it is given. Leaves `folder/policy`.

    `facts` is what else must be the same for a killed run to go on (targets, weights), as plain JSON.
    `judge` measures gold every `gold_every` steps, in one process.
    Raises ValueError (nothing to learn from, held-out tasks, Q heads), ResumeMismatch, DiskFull,
    FloatingPointError.
    """
    if not groups:
        raise ValueError("there is no text to learn from")
    refuse_held_out([group.task for group in groups])
    refuse_q_heads(policy, "train")

    # 1. The policy is the model with new adapters, the reference is the same with them switched off.
    weights = {name: weight.detach() for name, weight in policy.model.named_parameters()}
    sampler = dataclasses.replace(policy, model=copy.deepcopy(policy.model))
    model = add_lora(policy.model, lora_r=config.lora_r, lora_alpha=config.lora_alpha, seed=config.seed)
    try:
        parameters = [parameter for parameter in model.parameters() if parameter.requires_grad]
        optimizer = torch.optim.AdamW(parameters, lr=config.learning_rate, weight_decay=0.0)
        shown = spread(list(dict.fromkeys(group.task for group in groups)), config.sample_tasks)
        total = config.epochs * math.ceil(len(groups) / config.groups_per_step)
        scale = config.lora_alpha / config.lora_r

        # 2. Begin with what the reference writes for the tasks shown, or go on from the saved step.
        run = identity(config, policy, groups, facts)
        state = processes.once(lambda: load_state(folder, identity=run))
        records: list[Record] = []
        if state:
            set_peft_model_state_dict(model, under_prefix("adapter", state.tensors))
            restore_optimizer(optimizer, under_prefix("optimizer", state.tensors))
            records = [record_from_json(row) for row in state.facts["records"]]
            yield from records
        reading = {"max_new_tokens": config.max_new_tokens, "seed": config.seed}

        def texts_now() -> list[str]:
            return processes.over(shown, lambda part: write(sampler, part, **reading))

        references = state.facts["references"] if state else texts_now()
        of_reference: dict[int, torch.Tensor] = {}  # log π_ref of each group's texts, once computed

        def learn(number: int, *, share: float) -> tuple[int, dict[str, float]]:
            """Add one group's gradient; give its tokens and figures."""
            packed = pack(policy.tokenizer, groups[number])
            if number not in of_reference:
                with torch.no_grad(), without_lora(model):
                    of_reference[number] = text_logprobs(model, packed)
            logprobs = text_logprobs(model, packed)
            lengths = torch.bincount(packed.owners, minlength=packed.completions).to(logprobs.device)
            value, found = loss(number, logprobs, of_reference[number], lengths)
            (value * share).backward()  # type: ignore[no-untyped-call]
            return len(packed.targets), found | {"loss": float(value.detach())}

        for step in range(len(records), total):
            started = time.perf_counter()

            # 3. The gradient of each group's loss.
            optimizer.zero_grad()
            batch = batch_of(len(groups), step, config)
            learned = processes.each(batch, partial(learn, share=1 / len(batch)))
            processes.sum_gradients(parameters)

            # 4. One update; the rate rises over the first steps.
            grad_norm = float(torch.nn.utils.clip_grad_norm_(parameters, config.max_grad_norm))
            if not math.isfinite(grad_norm):
                raise FloatingPointError(f"step {step}: the gradient is {grad_norm}; lower learning_rate")
            for settings in optimizer.param_groups:
                settings["lr"] = config.learning_rate * min(1.0, (step + 1) / (config.warmup_steps + 1))
            optimizer.step()

            # 5. The record, and the state from which a killed run goes on.
            seconds = time.perf_counter() - started
            last = step == total - 1
            samples: tuple[Sample, ...] = ()
            shows = last or step % config.sample_every == 0
            judges = judge is not None and is_due(step, every=config.gold_every, last=last)
            if shows or judges:
                put_into(sampler, weights, adapter_tensors(model), scale)
            if shows:
                samples = beside(shown, texts_now(), references)
            figures = [found for _, found in learned]
            values = {name: float(np.mean([found[name] for found in figures])) for name in figures[0]}
            if judge and judges:
                values |= processes.once(partial(judge, sampler))
            tokens = sum(count for count, _ in learned)
            values |= {"grad_norm": grad_norm, "tokens_per_s": tokens / seconds, "seconds": seconds}
            records.append(Record(step, total - 1, values, samples))
            if last or step % config.save_every == 0:
                save = partial(
                    save_state,
                    folder,
                    step=step,
                    tensors=with_prefix("adapter", adapter_tensors(model))
                    | with_prefix("optimizer", optimizer_tensors(optimizer)),
                    facts={
                        "identity": run,
                        "references": references,
                        "records": [record_to_json(record) for record in records],
                    },
                )
                processes.once(save)
            yield records[-1]

        # 6. The checkpoint.
        processes.once(
            lambda: leave_policy(folder, policy, model, config, steps=total, code_version=code_version)
        )
    finally:
        model.unload()  # the caller's model is again what it was


def pack(tokenizer: Any, group: Group) -> PackedGroup:
    """The prompt once, and each text with the token that ends it."""
    texts = [tokenizer(text, add_special_tokens=False)["input_ids"] for text in group.texts]
    return pack_group(generator_ids(tokenizer, group.task), [[*ids, tokenizer.eos_token_id] for ids in texts])


def text_logprobs(model: Any, packed: PackedGroup) -> torch.Tensor:
    """log π of each text. Shape: (G,)."""
    return sum_by_owner(token_logprobs(completion_logits(model, packed), packed.targets), packed)


def batch_of(count: int, step: int, config: OfflineConfig) -> list[int]:
    """The groups of a step, in an order that is new in each epoch. Follows from seed and step alone."""
    epoch, at = divmod(step, math.ceil(count / config.groups_per_step))
    order = np.random.default_rng([config.seed, epoch]).permutation(count)
    return [int(n) for n in order[at * config.groups_per_step : (at + 1) * config.groups_per_step]]


def identity(config: OfflineConfig, policy: CausalLM, groups: Sequence[Group], facts: Any) -> dict[str, Any]:
    """What must be the same for a run to go on: config, model, chat template, texts, what is said of them."""
    texts = [dataclasses.asdict(group) for group in groups]
    return run_identity(config, policy) | {"texts_hash": hash_of([texts, facts])}
