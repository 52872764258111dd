"""The same training by TRL's trainers, for vLLM rollouts, FSDP and DeepSpeed: docs/scale.md.

Our prompts, our reward, our limits; TRL's loop. What comes out is one of our checkpoints. Its own checkpoints
lie in `trl/` until then.
"""

from __future__ import annotations

import dataclasses
import importlib.util
import json
import shutil
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from safetensors.torch import load_file
from transformers import PrinterCallback
from transformers.trainer_utils import get_last_checkpoint

from rlhf.lm import sft, trl_settings
from rlhf.lm.backbones import CausalLM
from rlhf.lm.checkpoints import ADAPTER, POLICY_FOLDER, adapter_tensors, lora_config, save_policy
from rlhf.lm.configs import RLOO, DpoConfig, PolicyConfig, SftConfig
from rlhf.lm.data import Dataset, Record, Task, refuse_held_out
from rlhf.lm.guards import repetition, without_copies
from rlhf.lm.jobs import BadJob, Job
from rlhf.lm.pairs import judged_pairs
from rlhf.lm.prompting import clean_completion, generator_ids, generator_messages, generator_text
from rlhf.lm.training_state import check_identity, hash_of, run_identity, saved_step
from rlhf.lm.trl_records import Records
from rlhf.versions import code_version

FOLDER = "trl"
IDENTITY = "identity.json"
Rows = list[dict[str, Any]]


def train(job: Job, report: Callable[[Record], None], *, processes: int) -> None:
    """Train, and leave `output/policy`. Raises BadJob, ResumeMismatch, and what the trainers raise."""
    missing = [name for name in ("trl", "datasets") if importlib.util.find_spec(name) is None]
    if missing:
        raise BadJob(f"--engine trl needs {', '.join(missing)}: pip install -r requirements-scale.txt")
    if saved_step(job.output) is not None or (job.output / POLICY_FOLDER).exists():
        raise BadJob(f"output: {job.output} holds a finished run, or one of this project's own loop")

    # 1. What is learned from, and the trainer.
    lm = job.load_policy()
    records = Records(job.config, report)
    if isinstance(job.config, PolicyConfig):
        tasks = job.tasks()
        rows = prompts(lm, tasks)
        trainer = rollout_trainer(job, lm, rows, reward_of(job, tasks), records, processes)
    else:
        rows = demonstrations(job, lm) if isinstance(job.config, SftConfig) else votes(job, lm)
        trainer = text_trainer(job, lm, rows, records, processes)

    # 2. A killed run goes on from TRL's last checkpoint, if it is a run of the same.
    folder = job.output / FOLDER
    identity = run_identity(job.config, lm) | {"trl": dict(job.trl), "texts_hash": hash_of(rows)}
    if (folder / IDENTITY).is_file():
        check_identity(folder, here=identity, there=json.loads((folder / IDENTITY).read_text()))
    elif trainer.is_world_process_zero():
        folder.mkdir(exist_ok=True)
        (folder / IDENTITY).write_text(json.dumps(identity))
    trainer.accelerator.wait_for_everyone()
    trainer.remove_callback(PrinterCallback)  # the records are told
    untrained = adapter_tensors(trainer.model)
    trainer.train(resume_from_checkpoint=get_last_checkpoint(str(folder)))

    # 3. Beyond a limit the policy is that of the best saved step before; otherwise the last.
    steps = records.best_step if records.stopped else records.done(trainer.state.global_step)
    if records.stopped:
        final = folder / f"checkpoint-{records.updates(steps)}"
    else:
        final = folder / "final"
        trainer.save_model(str(final))  # gathered, where processes hold parts of it
    if trainer.is_world_process_zero():
        save_policy(
            job.output / POLICY_FOLDER,
            lm,
            lora=_lora(job),
            tensors=load_file(final / ADAPTER) if steps else untrained,
            config=dataclasses.asdict(job.config),
            seed=job.config.seed,
            steps=steps,
            stopped=records.stopped,
            code_version=code_version(),
            engine="trl",
        )
        shutil.rmtree(folder)


def rollout_trainer(
    job: Job, lm: CausalLM, rows: Rows, reward: Callable[..., list[float]], records: Any, processes: int
) -> Any:
    """RLOO, GRPO or Dr. GRPO. The reference is the model with its adapters off."""
    from trl import GRPOConfig, GRPOTrainer, RLOOConfig, RLOOTrainer

    config = job.config
    settings = trl_settings.for_rollouts(
        config, tasks=len(rows), processes=processes, given=dict(job.trl)
    ) | _machine(job, lm)
    kind, made = (RLOOTrainer, RLOOConfig) if config.algorithm == RLOO else (GRPOTrainer, GRPOConfig)
    return kind(
        model=lm.model,
        reward_funcs=[reward],
        args=made(**settings),
        train_dataset=_dataset(rows),
        processing_class=lm.tokenizer,
        callbacks=[records],
        peft_config=_lora(job),
    )


def text_trainer(job: Job, lm: CausalLM, rows: Rows, records: Any, processes: int) -> Any:
    """SFT or DPO, on rows that are tokens already."""
    from trl import DPOConfig, DPOTrainer, SFTConfig, SFTTrainer

    class TokenisedDPOTrainer(DPOTrainer):  # type: ignore[misc]
        """TRL would tokenise text anew, and end it otherwise than ours."""

        def _prepare_dataset(self, dataset: Any, *_: Any, **__: Any) -> Any:
            return dataset

    tasks = len({row.pop("task") for row in rows})
    settings = trl_settings.for_texts(
        job.config, tasks=tasks, rows=len(rows), processes=processes, given=dict(job.trl)
    ) | _machine(job, lm)
    dpo = isinstance(job.config, DpoConfig)
    kind, made = (TokenisedDPOTrainer, DPOConfig) if dpo else (SFTTrainer, SFTConfig)
    return kind(
        model=lm.model,
        args=made(**settings),
        train_dataset=_dataset(rows),
        processing_class=lm.tokenizer,
        callbacks=[records],
        peft_config=_lora(job),
    )


def prompts(lm: CausalLM, tasks: Sequence[Task]) -> Rows:
    """One row a task: the chat, or its text where the tokenizer has no template."""
    refuse_held_out(tasks)
    if not tasks:
        raise ValueError("there are no tasks to train on")
    tokenizer = lm.tokenizer
    ask = generator_messages if tokenizer.chat_template else lambda task, made: generator_text(made, task)
    return [{"prompt": ask(task, tokenizer), "task": task.id} for task in tasks]


def reward_of(job: Job, tasks: Sequence[Task]) -> Callable[..., list[float]]:
    """The pessimistic reward as TRL calls it; what the limits need besides goes into its log."""
    score = without_copies(job.score(), job.config.copy_penalty)
    by_id = {task.id: task for task in tasks}

    def reward(
        completions: list[Any], task: list[str], log_metric: Callable[[str, float], None], **_: Any
    ) -> list[float]:
        texts = [clean_completion(c if isinstance(c, str) else c[-1]["content"]) for c in completions]
        means, stds = score([(by_id[name], text) for name, text in zip(task, texts, strict=True)])
        log_metric("score", float(np.mean(means)))
        log_metric("score_std", float(np.mean(stds)))
        log_metric("repetition", repetition(texts))
        return [float(value) for value in means - job.config.pessimism * stds]

    return reward


def demonstrations(job: Job, lm: CausalLM) -> Rows:
    """One row a text, whatever its weight; the loss is on the text and the token that ends it."""
    dataset = job.dataset()
    shown = sft.demonstrations(dataset, written=job.config.written, ranked=job.config.ranked)
    rows = []
    for task_id, texts in shown.items():
        prompt = generator_ids(lm.tokenizer, dataset.tasks[task_id])
        for text in texts:
            ids = _ended(lm, text)
            rows.append({"task": task_id, "input_ids": prompt + ids, "labels": [-100] * len(prompt) + ids})
    return _needed(rows)


def votes(job: Job, lm: CausalLM) -> Rows:
    """One row for each vote that was no tie, taken at its word."""
    if job.reward is not None:
        raise BadJob("reward: TRL's DPO cannot weigh votes by annotators' reliability; leave it out")
    dataset: Dataset = job.dataset()
    rows = []
    for pair in judged_pairs(dataset.judgments_on(held_out=False)):
        if pair.outcome != 0.5:
            both = (pair.first, pair.second) if pair.outcome == 1 else (pair.second, pair.first)
            chosen, rejected = (_ended(lm, text) for text in both)
            prompt = generator_ids(lm.tokenizer, dataset.tasks[pair.task_id])
            rows.append(
                {"task": pair.task_id, "prompt_ids": prompt, "chosen_ids": chosen, "rejected_ids": rejected}
            )
    return _needed(rows)


def _needed(rows: Rows) -> Rows:
    if not rows:
        raise ValueError("there is no text to learn from")
    return rows


def _ended(lm: CausalLM, text: str) -> list[int]:
    return [*lm.tokenizer(text, add_special_tokens=False)["input_ids"], lm.tokenizer.eos_token_id]


def _machine(job: Job, lm: CausalLM) -> dict[str, Any]:
    return {
        "output_dir": str(job.output / FOLDER),
        "bf16": lm.model.dtype == torch.bfloat16,
        "use_cpu": not torch.cuda.is_available(),
    }


def _lora(job: Job) -> Any:
    return lora_config(lora_r=job.config.lora_r, lora_alpha=job.config.lora_alpha)


def _dataset(rows: Rows) -> Any:
    import datasets

    datasets.disable_progress_bars()
    return datasets.Dataset.from_list(rows)
