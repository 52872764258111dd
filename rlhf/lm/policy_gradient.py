"""RLOO, GRPO and Dr. GRPO: fine-tune the generator against a score, with LoRA adapters.

One loop, to be read from top to bottom; the three differ in the last lines of `learn`, and policy_losses.py.
Left out: a value head and a learned KL coefficient.
"""

from __future__ import annotations

import copy
import dataclasses
import math
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from peft import set_peft_model_state_dict

from rlhf.lm.backbones import CausalLM
from rlhf.lm.checkpoints import adapter_tensors, add_lora, leave_policy
from rlhf.lm.configs import ALGORITHMS, GRPO, RLOO, PolicyConfig, SamplingConfig
from rlhf.lm.data import Record, Sample, Task, refuse_held_out
from rlhf.lm.gold_along import Judge, is_due
from rlhf.lm.guards import limit_passed, repetition
from rlhf.lm.policy_losses import (
    clipped_loss,
    group_relative,
    leave_one_out,
    token_loss,
)
from rlhf.lm.policy_samples import beside, put_into, write
from rlhf.lm.prompting import generator_ids
from rlhf.lm.sampling import SampledCompletion, decode
from rlhf.lm.tensors import PackedGroup, completion_logits, pack_group, sum_by_owner
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

Score = Callable[[list[tuple[Task, str]]], tuple[np.ndarray, np.ndarray]]
"""Mean and standard deviation over the reward model's heads, in units of its spread on training texts."""


@dataclass
class Rollout:
    """One prompt's G completions, their rewards (G,), and what the first epoch adds.

    `advantages` are (G,), `old_logprobs` (G,) of completions or, for GRPO, (N,) of their tokens.
    """

    packed: PackedGroup
    rewards: torch.Tensor  # before the KL penalty
    advantages: torch.Tensor | None = None
    old_logprobs: torch.Tensor | None = None

    @property
    def useful(self) -> bool:
        """Whether the rewards differ: where they are all equal there is nothing to learn from."""
        return float(self.rewards.max() - self.rewards.min()) > 1e-6


def train(
    config: PolicyConfig,
    *,
    policy: CausalLM,
    tasks: Sequence[Task],
    score: Score,
    folder: Path,
    judge: Judge | None = None,
    code_version: str = "",
) -> Iterator[Record]:
    """Train; yield one record a step, each saved in `folder` before it is given. Leaves `folder/policy`.

    Record i is about the policy after i updates: the first is the untrained one, the last the one saved.
    Where `folder` holds a state, its records are given again and the run goes on from there.
    `judge` measures gold every `gold_every` steps.
    Raises ValueError (held-out or too few tasks), ResumeMismatch, DiskFull, FloatingPointError.
    """
    check(config, tasks)

    # 1. The policy is the model with new adapters, the reference is the same with them switched off, and
    #    the sampler is a copy that carries them merged, which decodes nearly twice as fast.
    weights = {name: weight.detach() for name, weight in policy.model.named_parameters()}
    sampler = dataclasses.replace(policy, model=copy.deepcopy(policy.model))
    model = add_lora(policy.model, lora_r=config.lora_r, lora_alpha=config.lora_alpha, seed=config.seed)
    try:
        parameters = [parameter for parameter in model.parameters() if parameter.requires_grad]
        optimizer = torch.optim.AdamW(parameters, lr=config.learning_rate, weight_decay=0.0)

        reading = {"max_new_tokens": config.max_new_tokens, "seed": config.seed}
        scale = config.lora_alpha / config.lora_r

        # 2. Start with what the reference writes for the tasks shown, or go on from the saved step.
        shown = spread(tasks, config.sample_tasks)
        run = identity(config, policy, tasks)
        state = load_state(folder, identity=run)
        kept = adapter_tensors(model)  # of the best step that was within the limits
        best_step = 0
        records: list[Record] = []
        stopped = ""
        if state:
            set_peft_model_state_dict(model, under_prefix("adapter", state.tensors))
            restore_optimizer(optimizer, under_prefix("optimizer", state.tensors))
            kept, best_step = under_prefix("kept", state.tensors), state.facts["best_step"]
            records = [record_from_json(row) for row in state.facts["records"]]
            stopped = state.facts["stopped"]
            yield from records
        reference_texts = state.facts["reference_texts"] if state else write(sampler, shown, **reading)

        for step in range(len(records), config.steps + 1):
            if stopped:
                break
            started = time.perf_counter()

            # 3. Rollouts: the policy writes G completions for each of some prompts.
            current = adapter_tensors(model)
            put_into(sampler, weights, current, scale)
            batch = batch_of(tasks, step, config)
            prompts = [generator_ids(policy.tokenizer, task) for task in batch]
            groups = decode(sampler, batch, prompts, rollout_config(config, step))
            sampling_seconds = time.perf_counter() - started

            # 4. Scores. The reward is pessimistic: it is lower where the reward model's heads disagree.
            texts = [(task, c.text) for task, group in zip(batch, groups, strict=True) for c in group]
            means, stds = score(texts)
            rewards = torch.as_tensor(means - config.pessimism * stds, dtype=torch.float32)
            rewards = rewards.view(len(groups), -1)  # (P, G)
            rollouts = [
                Rollout(pack_group(prompt, [c.token_ids for c in group]), row)
                for prompt, group, row in zip(prompts, groups, rewards, strict=True)
            ]
            useful = [rollout for rollout in rollouts if rollout.useful]

            # 5. Losses, and on the way how far the policy is from the reference. The last step only measures.
            last = step == config.steps
            grad_norm = 0.0
            for epoch in range(1 if last else config.epochs):
                optimizer.zero_grad()
                with torch.set_grad_enabled(not last):
                    measures = [
                        learn(model, rollout, config, share=1 / rewards.numel()) for rollout in useful
                    ]
                if epoch == 0:
                    values = summary(groups, means, stds, rewards, useful, measures, records)
                    passed = limit_passed(config, values, records[0].values if records else values)
                    stopped = f"stopped: {passed}" if passed else ""
                if stopped or last or not useful:
                    break

                # 6. One update.
                grad_norm = float(torch.nn.utils.clip_grad_norm_(parameters, config.max_grad_norm))
                if not math.isfinite(grad_norm):
                    raise FloatingPointError(f"step {step}: the gradient is {grad_norm}; lower learning_rate")
                optimizer.step()

            # 7. Beyond a limit, the policy goes back to the best step that was within.
            if stopped:
                stopped += f"; the policy of step {best_step} is kept"
                set_peft_model_state_dict(model, kept)
                put_into(sampler, weights, kept, scale)
            elif not records or values["reward"] >= records[best_step].values["reward"]:
                kept, best_step = current, step

            # 8. The record, and the state from which a killed run goes on.
            samples: tuple[Sample, ...] = ()
            if last or stopped or step % config.sample_every == 0:
                samples = beside(shown, write(sampler, shown, **reading), reference_texts)
            if judge and is_due(step, every=config.gold_every, last=last or bool(stopped)):
                values |= judge(sampler)
            tokens = sum(len(c.token_ids) for group in groups for c in group)
            values |= {
                "grad_norm": grad_norm,
                "tokens_per_s": tokens / sampling_seconds,
                "sampling_seconds": sampling_seconds,
                "seconds": time.perf_counter() - started,
            }
            note = stopped or ("" if useful else "all rewards were equal: nothing to learn from")
            records.append(Record(step, config.steps, values, samples, note))
            if last or stopped or step % config.save_every == 0:
                save_state(
                    folder,
                    step=step,
                    tensors=with_prefix("adapter", adapter_tensors(model))
                    | with_prefix("kept", kept)
                    | with_prefix("optimizer", optimizer_tensors(optimizer)),
                    facts={
                        "identity": run,
                        "stopped": stopped,
                        "best_step": best_step,
                        "reference_texts": reference_texts,
                        "records": [record_to_json(record) for record in records],
                    },
                )
            yield records[-1]

        # 9. The checkpoint: the adapters that the policy came with, and the new ones.
        steps = best_step if stopped else records[-1].step
        leave_policy(folder, policy, model, config, steps=steps, stopped=stopped, code_version=code_version)
    finally:
        model.unload()  # the caller's model is again what it was


def check(config: PolicyConfig, tasks: Sequence[Task]) -> None:
    """Refuse what cannot be trained on."""
    if config.algorithm not in ALGORITHMS:
        raise ValueError(f"unknown algorithm {config.algorithm!r}; there are {', '.join(ALGORITHMS)}")
    refuse_held_out(tasks)
    if not tasks:
        raise ValueError("there are no tasks to train on")
    if config.completions_per_prompt < 2:
        raise ValueError("completions_per_prompt must be at least 2: the others of a group are its baseline")


def identity(config: PolicyConfig, policy: CausalLM, tasks: Sequence[Task]) -> dict[str, Any]:
    """What must be the same for a run to go on: config, model, chat template, tasks."""
    rows = [dataclasses.asdict(task) for task in tasks]
    return run_identity(config, policy) | {"tasks_hash": hash_of(rows)}


def batch_of(tasks: Sequence[Task], step: int, config: PolicyConfig) -> list[Task]:
    """The tasks of a step: in shuffled order, round after round. Follows from seed and step alone."""
    size = min(config.prompts_per_step, len(tasks))
    batch: list[Task] = []
    for place in range(step * size, (step + 1) * size):
        epoch, at = divmod(place, len(tasks))
        task = tasks[np.random.default_rng([config.seed, epoch]).permutation(len(tasks))[at]]
        if task not in batch:  # at the seam of two epochs
            batch.append(task)
    return batch


def rollout_config(config: PolicyConfig, step: int) -> SamplingConfig:
    """Rollouts are drawn from the policy itself: temperature, but no cut."""
    return SamplingConfig(
        completions_per_task=config.completions_per_prompt,
        temperature=config.temperature,
        top_p=1.0,
        max_new_tokens=config.max_new_tokens,
        seed=config.seed * 100_003 + step,
    )


def learn(model: Any, rollout: Rollout, config: PolicyConfig, *, share: float) -> dict[str, torch.Tensor]:
    """Add one group's gradient (where gradients are on); give per-completion KL and per-token entropy.

    `share` is one completion's part of the batch. KL is Σ_t KL(π(·|s_t) ‖ π_ref(·|s_t)) along the completion:
    the same mean as log π/π_ref of the text, with less noise (arXiv 2504.10637).
    """
    packed = rollout.packed
    targets = packed.targets.to(model.device)
    with torch.no_grad(), model.disable_adapter():
        ref_all = (completion_logits(model, packed) / config.temperature).log_softmax(-1)  # (N, V)
    all_logprobs = (completion_logits(model, packed) / config.temperature).log_softmax(-1)  # (N, V)
    chosen = all_logprobs.gather(1, targets[:, None])[:, 0]  # (N,)
    logprobs = sum_by_owner(chosen, packed)  # (G,)
    with torch.no_grad():
        probabilities = all_logprobs.exp()
        kl = sum_by_owner((probabilities * (all_logprobs - ref_all)).sum(-1), packed)  # (G,)
        entropy = -(probabilities * all_logprobs).sum(-1)  # (N,)
    ref_chosen = ref_all.gather(1, targets[:, None])[:, 0]  # (N,)
    rewards = rollout.rewards.to(chosen.device)
    if rollout.advantages is None or rollout.old_logprobs is None:
        if config.algorithm == RLOO:
            penalty = config.kl_coef * (logprobs.detach() - sum_by_owner(ref_chosen, packed))
            rollout.advantages = leave_one_out(rewards - penalty)
            rollout.old_logprobs = logprobs.detach()
        else:
            rollout.advantages = group_relative(rewards, scaled=config.algorithm == GRPO)
            rollout.old_logprobs = chosen.detach()
    if torch.is_grad_enabled():
        old, advantages = rollout.old_logprobs, rollout.advantages
        if config.algorithm == RLOO:
            loss = clipped_loss(logprobs, old, advantages, config.clip_coef).sum()
        else:
            loss = token_loss(
                *(chosen, old, ref_chosen, advantages, packed),
                clip_coef=config.clip_coef,
                kl_coef=config.kl_coef,
                divisor=None if config.algorithm == GRPO else config.max_new_tokens,
            )
        (loss * share).backward()  # type: ignore[no-untyped-call]
    return {"kl": kl.cpu(), "entropy": entropy.cpu()}


def summary(
    groups: Sequence[Sequence[SampledCompletion]],
    means: np.ndarray,
    stds: np.ndarray,
    rewards: torch.Tensor,
    useful: Sequence[Rollout],
    measures: Sequence[dict[str, torch.Tensor]],
    records: Sequence[Record],
) -> dict[str, float]:
    """The numbers of one step. Without a useful group KL and entropy are those of the step before."""
    completions = [completion for group in groups for completion in group]
    before = records[-1].values if records else {"kl": 0.0, "entropy": 0.0}
    return {
        "score": float(np.mean(means)),  # of the reward model
        "score_std": float(np.mean(stds)),  # its heads' disagreement
        "reward": float(rewards.mean()),  # pessimistic
        "reward_std": float(rewards.std(dim=1).mean()),  # within a group
        "kl": float(torch.cat([m["kl"] for m in measures]).mean()) if measures else before["kl"],
        "entropy": float(torch.cat([m["entropy"] for m in measures]).mean())
        if measures
        else before["entropy"],
        "length": float(np.mean([len(c.token_ids) for c in completions])),
        "finished": float(np.mean([c.finished for c in completions])),
        "repetition": repetition([c.text for c in completions]),
        "useful": len(useful) / len(groups),
    }
