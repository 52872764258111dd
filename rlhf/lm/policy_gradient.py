"""Policy gradients: fine-tune the generator against a score, with LoRA adapters.

One loop, to be read from top to bottom. What is learned from a step's completions is the algorithm's:
group_learner.py (RLOO, GRPO, Dr. GRPO) or ppo.py. Left out: a learned KL coefficient.
"""

from __future__ import annotations

import copy
import dataclasses
import math
import sys
import time
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from peft import set_peft_model_state_dict

from rlhf.lm import launch
from rlhf.lm.backbones import CausalLM
from rlhf.lm.checkpoints import adapter_tensors, add_lora, leave_policy
from rlhf.lm.configs import ALGORITHMS, POLICY_CONFIGS, PolicyConfig, PpoConfig, SamplingConfig
from rlhf.lm.data import Record, Sample, Task, refuse_held_out
from rlhf.lm.gold_along import Judge
from rlhf.lm.group_learner import GroupLearner
from rlhf.lm.guards import limit_passed, without_copies
from rlhf.lm.jobs import Job
from rlhf.lm.over_optimisation import is_due
from rlhf.lm.policy_samples import beside, put_into, write
from rlhf.lm.ppo import PpoLearner
from rlhf.lm.processes import ALONE, Processes
from rlhf.lm.prompting import generator_ids
from rlhf.lm.q_heads import refuse_q_heads
from rlhf.lm.rollouts import Learner, Rollout, Score, batch_of, rollout_config, summary
from rlhf.lm.sampling import SampledCompletion, decode
from rlhf.lm.tensors import pack_group
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
from rlhf.versions import code_version


def train(
    config: PolicyConfig,
    *,
    policy: CausalLM,
    tasks: Sequence[Task],
    score: Score,
    folder: Path,
    judge: Judge | None = None,
    code_version: str = "",
    processes: Processes = ALONE,
) -> Iterator[Record]:
    """Train; yield one record a step, each saved in `folder` before it is given. Leaves `folder/policy`.

    Record i is about the policy after i updates: the first is the untrained one, the last the one saved.
    Where `folder` holds a state, its records are given again and the run goes on from there.
    `judge` measures gold every `gold_every` steps, in one process.
    Raises ValueError (held-out or too few tasks, Q heads), ResumeMismatch, DiskFull, FloatingPointError.
    """
    check(config, tasks)
    refuse_q_heads(policy, "train")
    score = without_copies(score, config.copy_penalty)

    # 1. The policy is the model with new adapters, the reference is the same with them switched off, and
    #    the sampler is a copy that carries them merged, which decodes nearly twice as fast.
    weights = {name: weight.detach() for name, weight in policy.model.named_parameters()}
    sampler = dataclasses.replace(policy, model=copy.deepcopy(policy.model))
    model = add_lora(policy.model, lora_r=config.lora_r, lora_alpha=config.lora_alpha, seed=config.seed)
    try:
        parameters = [parameter for parameter in model.parameters() if parameter.requires_grad]
        learner = learner_of(config, model, processes)
        optimizer = torch.optim.AdamW(
            [{"params": parameters}, *learner.parameters()], lr=config.learning_rate, weight_decay=0.0
        )

        reading = {"max_new_tokens": config.max_new_tokens, "seed": config.seed}
        scale = config.lora_alpha / config.lora_r

        # 2. Start with what the reference writes for the tasks shown, or go on from the saved step.
        shown = spread(tasks, config.sample_tasks)
        run = identity(config, policy, tasks)
        state = processes.once(lambda: load_state(folder, identity=run))
        kept = adapter_tensors(model)  # of the best step that was within the limits
        best_step = 0
        records: list[Record] = []
        stopped = ""
        if state:
            set_peft_model_state_dict(model, under_prefix("adapter", state.tensors))
            restore_optimizer(optimizer, under_prefix("optimizer", state.tensors))
            learner.restore(under_prefix("learner", state.tensors))
            kept, best_step = under_prefix("kept", state.tensors), state.facts["best_step"]
            records = [record_from_json(row) for row in state.facts["records"]]
            stopped = state.facts["stopped"]
            yield from records

        def texts_now() -> list[str]:
            return processes.over(shown, lambda part: write(sampler, part, **reading))

        reference_texts = state.facts["reference_texts"] if state else texts_now()

        for step in range(len(records), config.steps + 1):
            if stopped:
                break
            started = time.perf_counter()

            # 3. Rollouts: the policy writes G completions for each of some prompts.
            current = adapter_tensors(model)
            put_into(sampler, weights, current, scale)
            batch = batch_of(tasks, step, config)
            prompts = [generator_ids(policy.tokenizer, task) for task in batch]
            groups = processes.over(batch, partial(roll_out, sampler, rollout_config(config, step)))
            sampling_seconds = time.perf_counter() - started

            # 4. Scores. The reward is pessimistic: it is lower where the reward model's heads disagree.
            texts = [(task, c.text) for task, group in zip(batch, groups, strict=True) for c in group]
            scored = processes.over(texts, lambda part: zip(*score(list(part)), strict=True))
            means, stds = np.array(scored).T
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
                    measures = learner.learn(model, useful, epoch=epoch, completions=rewards.numel())
                if epoch == 0:
                    values = summary(groups, means, stds, rewards, useful, measures, records)
                    passed = limit_passed(config, values, records[0].values if records else values)
                    stopped = f"stopped: {passed}" if passed else ""
                if stopped or last or not useful:
                    break

                # 6. One update. What else the algorithm trains is clipped apart, not to shorten this one.
                processes.sum_gradients([p for part in optimizer.param_groups for p in part["params"]])
                grad_norm, *_ = [
                    float(torch.nn.utils.clip_grad_norm_(part["params"], config.max_grad_norm))
                    for part in optimizer.param_groups
                ]
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
                samples = beside(shown, texts_now(), reference_texts)
            if judge and is_due(step, every=config.gold_every, last=last or bool(stopped)):
                values |= processes.once(partial(judge, sampler))
            tokens = sum(len(c.token_ids) for group in groups for c in group)
            values |= learner.figures() | {
                "grad_norm": grad_norm,
                "tokens_per_s": tokens / sampling_seconds,
                "sampling_seconds": sampling_seconds,
                "seconds": time.perf_counter() - started,
            }
            note = stopped or ("" if useful else "all rewards were equal: nothing to learn from")
            records.append(Record(step, config.steps, values, samples, note))
            if last or stopped or step % config.save_every == 0:
                save = partial(
                    save_state,
                    folder,
                    step=step,
                    tensors=with_prefix("adapter", adapter_tensors(model))
                    | with_prefix("kept", kept)
                    | with_prefix("optimizer", optimizer_tensors(optimizer))
                    | with_prefix("learner", learner.tensors()),
                    facts={
                        "identity": run,
                        "stopped": stopped,
                        "best_step": best_step,
                        "reference_texts": reference_texts,
                        "records": [record_to_json(record) for record in records],
                    },
                )
                processes.once(save)
            yield records[-1]

        # 9. The checkpoint: the adapters that the policy came with, and the new ones.
        steps = best_step if stopped else records[-1].step
        processes.once(
            lambda: leave_policy(
                folder, policy, model, config, steps=steps, stopped=stopped, code_version=code_version
            )
        )
    finally:
        model.unload()  # the caller's model is again what it was


def learner_of(config: PolicyConfig, model: Any, processes: Processes) -> Learner:
    """The algorithm that the config names."""
    if isinstance(config, PpoConfig):
        return PpoLearner(config, width=model.config.hidden_size, device=model.device, processes=processes)
    return GroupLearner(config, processes)


def roll_out(
    sampler: CausalLM, config: SamplingConfig, tasks: Sequence[Task]
) -> list[list[SampledCompletion]]:
    """The completions of some of a step's tasks: the same whatever other tasks there are."""
    return decode(sampler, tasks, [generator_ids(sampler.tokenizer, task) for task in tasks], config)


def check(config: PolicyConfig, tasks: Sequence[Task]) -> None:
    """Refuse what cannot be trained on."""
    if config.algorithm not in ALGORITHMS:
        raise ValueError(f"unknown algorithm {config.algorithm!r}; there are {', '.join(ALGORITHMS)}")
    if POLICY_CONFIGS[config.algorithm] is not type(config):
        raise ValueError(f"a {type(config).__name__} is not what {config.algorithm} is told")
    refuse_held_out(tasks)
    if not tasks:
        raise ValueError("there are no tasks to train on")
    if config.completions_per_prompt < 2:
        raise ValueError("completions_per_prompt must be at least 2: the others of a group are its baseline")


def identity(config: PolicyConfig, policy: CausalLM, tasks: Sequence[Task]) -> dict[str, Any]:
    """What must be the same for a run to go on: config, model, chat template, tasks."""
    rows = [dataclasses.asdict(task) for task in tasks]
    return run_identity(config, policy) | {"tasks_hash": hash_of(rows)}


def start(job: Job, processes: Processes) -> Iterator[Record]:
    """Train as a file says: `accelerate launch -m rlhf.lm.policy_gradient --config run.json`."""
    return train(
        job.config,
        policy=job.load_policy(),
        tasks=job.tasks(),
        score=job.score(),
        folder=job.output,
        code_version=code_version(),
        processes=processes,
    )


if __name__ == "__main__":
    sys.exit(launch.main(PolicyConfig, start))
