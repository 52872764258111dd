"""Our configs in TRL 1.16's words, as plain keyword arguments; what has no word there is refused.

Not handed over, since it changes no number: sample_tasks, sample_every. Kept on our side (trl_engine.py):
pessimism and the limits of guards.py.
"""

from __future__ import annotations

import math
from typing import Any

from rlhf.lm.configs import DPO, DR_GRPO, GRPO, RLOO, SFT, DpoConfig, PolicyConfig, SftConfig
from rlhf.lm.jobs import BadJob

Settings = dict[str, Any]

ALGORITHMS = (SFT, DPO, RLOO, GRPO, DR_GRPO)
KEPT = {"output_dir", "max_steps", "save_strategy", "logging_steps", "logging_strategy", "report_to", "seed"}
"""Settings of TRL that the records, resuming or the checkpoint's manifest hang on: not to be overridden."""


def for_rollouts(config: PolicyConfig, *, tasks: int, processes: int, given: Settings) -> Settings:
    """RLOOConfig or GRPOConfig. An update is made of all completions of a step, unless `given` says how many
    a process takes at once: then of several such batches (gradient accumulation). Raises BadJob."""
    if config.algorithm not in ALGORITHMS:
        raise BadJob(f"--engine trl does {', '.join(ALGORITHMS)}, not {config.algorithm}")
    if config.kl_coef == 0:
        raise BadJob("config.kl_coef: with 0 TRL measures no KL, and kl_budget could not be kept")
    prompts = min(config.prompts_per_step, tasks)
    completions = prompts * config.completions_per_prompt
    settings: Settings = {
        **_common(config),
        "max_steps": config.steps * config.epochs,
        "save_steps": config.save_every * config.epochs,
        "disable_dropout": True,
        "num_iterations": config.epochs,
        "num_generations": config.completions_per_prompt,
        "max_completion_length": config.max_new_tokens,
        "temperature": config.temperature,
        "top_p": 1.0,
        "top_k": 0,
        "beta": config.kl_coef,
        "epsilon": config.clip_coef,
        "lr_scheduler_type": "constant",
        **_batches(completions, processes, given, "prompts times completions_per_prompt"),
    }
    if config.algorithm == RLOO:
        settings["normalize_advantages"] = False
    elif config.algorithm == GRPO:
        settings |= {"loss_type": "grpo", "scale_rewards": "group"}
    else:
        settings |= {"loss_type": "dr_grpo", "scale_rewards": "none"}
    return settings | _checked(given)


def for_texts(
    config: SftConfig | DpoConfig, *, tasks: int, rows: int, processes: int, given: Settings
) -> Settings:
    """SFTConfig or DPOConfig. There are as many updates as ours makes; each takes that part of the rows."""
    updates = math.ceil(tasks / config.groups_per_step)  # of an epoch
    per_step = math.ceil(rows / updates / processes) * processes
    settings: Settings = {
        **_common(config),
        "num_train_epochs": config.epochs,
        "save_steps": config.save_every,
        "lr_scheduler_type": "constant_with_warmup",
        "warmup_steps": config.warmup_steps,
        "max_length": None,
        **_batches(per_step, processes, given, "the rows of an update"),
    }
    if isinstance(config, DpoConfig):
        settings |= {"beta": config.beta, "loss_type": [config.loss], "disable_dropout": True}
        if config.sft_weight:
            settings |= {"loss_type": [config.loss, "sft"], "loss_weights": [1.0, config.sft_weight]}
    else:
        settings |= {"dataset_kwargs": {"skip_prepare_dataset": True}, "packing": False}
    return settings | _checked(given)


def _common(config: PolicyConfig | SftConfig | DpoConfig) -> Settings:
    return {
        "learning_rate": config.learning_rate,
        "max_grad_norm": config.max_grad_norm,
        "weight_decay": 0.0,
        "optim": "adamw_torch",
        "seed": config.seed,
        "gradient_checkpointing": False,
        "logging_strategy": "steps",
        "logging_steps": 1,
        "save_strategy": "steps",
        "report_to": "none",
        "disable_tqdm": True,
    }


def _batches(rows: int, processes: int, given: Settings, what: str) -> Settings:
    at_once = given.get("per_device_train_batch_size", rows // processes)
    if at_once < 1 or rows % (at_once * processes):
        raise BadJob(
            f"{rows} ({what}) cannot be shared by {processes} processes"
            + (f" that take {at_once} at once" if "per_device_train_batch_size" in given else "")
        )
    return {
        "per_device_train_batch_size": at_once,
        "gradient_accumulation_steps": rows // (at_once * processes),
    }


def _checked(given: Settings) -> Settings:
    if taken := sorted(KEPT & given.keys()):
        raise BadJob(f"trl.{taken[0]} follows from the rest of run.json and cannot be set")
    return given
