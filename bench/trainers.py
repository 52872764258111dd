"""The two trainers that reward_throughput.py compares, on the same rankings: this project's, and TRL's."""

from __future__ import annotations

import importlib.util
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch

from rlhf.lm.backbones import resolve
from rlhf.lm.configs import LoraRewardConfig
from rlhf.lm.data import Dataset, Judgment, Task
from rlhf.lm.reward_backbone import RewardBackbone
from rlhf.lm.reward_lora import batch_of, comparisons_of, train

WORDS = (
    "the report shows that every customer who writes to us gets an answer within two days and names what "
    "was promised so read each line first then find the date sort by place keep short sentences in plain "
    "English give one example for each rule do not repeat yourself add no opinion of your own and say when "
    "something is missing or cannot be known from the text"
).split()

Pair = tuple[list[int], list[int]]  # token ids of chosen and rejected, each with its prompt
Clock = Callable[[], float]


def missing_package() -> str | None:
    """What the comparison lacks, in words, or None."""
    absent = [name for name in ("trl", "datasets") if importlib.util.find_spec(name) is None]
    return f"not installed: {', '.join(absent)}" if absent else None


def config_of(backbone: str, causal: bool, precision: str, *, per_step: int, seed: int) -> LoraRewardConfig:
    """What TRL's reward model is too: the head reads the last token or the pooler, everybody is believed."""
    return LoraRewardConfig(
        backbone=backbone,
        pooling="last" if causal else "pooler",
        epochs=1,
        comparisons_per_step=per_step,
        warmup_steps=0,
        centring=0.0,
        learn_reliability=False,
        standardise=False,
        precision=precision,
        wording="chat",  # the prompt as a user's turn, without further instructions
        seed=seed,
    )


def rankings(count: int, k: int, *, seed: int) -> Dataset:
    """So many rankings of k texts of 8 to 200 words, log-normal, half below 40, each of a task of its own."""
    random = np.random.default_rng([seed, k])

    def text(median: float, most: int) -> str:
        length = int(np.clip(median * np.exp(random.normal(0, 0.8)), 8, most))
        return " ".join(random.choice(WORDS, length))

    tasks, judgments = {}, []
    for n in range(count):
        name = str(n)
        tasks[name] = Task(id=name, text=text(24, 120))
        texts = tuple(f"{text(40, 200)} {i}" for i in range(k))
        ranks = tuple(int(place) + 1 for place in random.permutation(k))
        judgments.append(Judgment(name, name, "bob", texts, ranks))
    return Dataset(tasks, tuple(judgments))


def ordered_pairs(config: LoraRewardConfig, data: Dataset, models: Path) -> list[Pair]:
    """The pairs of all rankings, tokenised, in the order of our steps, as often as there are epochs."""
    backbone = RewardBackbone.fresh(config, models)
    comparisons = comparisons_of(data, {"bob": 0}, held_out=False)
    pairs: list[Pair] = []
    for step in range(config.epochs * -(-len(comparisons) // config.comparisons_per_step)):
        for comparison in batch_of(comparisons, step, config):
            whole: list[list[int]] = []
            for item in comparison.items:
                (row,) = backbone.rows([item])
                whole.append(row.ids)
            for i, j, outcome in zip(comparison.first, comparison.second, comparison.outcomes, strict=True):
                pairs.append((whole[i], whole[j]) if outcome > 0.5 else (whole[j], whole[i]))
    return pairs


def train_ours(
    config: LoraRewardConfig, data: Dataset, models: Path, *, clock: Clock
) -> tuple[float, list[float]]:
    """Seconds of the steps, tokenisation within them, and their losses."""
    backbone = RewardBackbone.fresh(config, models)
    run = train(config, dataset=data, backbone=backbone)
    started = clock()
    losses = []
    for record in run:
        losses.append(record.values["loss"])
        if record.step == record.total - 1:  # what follows is no step
            break
    seconds = clock() - started
    run.close()  # type: ignore[attr-defined]
    return seconds, losses


def train_trl(
    config: LoraRewardConfig,
    pairs: list[Pair],
    models: Path,
    *,
    batch: int,
    pairs_per_step: int,
    clock: Clock,
) -> tuple[float, list[float]]:
    """Seconds from the beginning of training to the end of its last step, and the losses."""
    import datasets
    from peft import LoraConfig
    from transformers import AutoModelForSequenceClassification, TrainerCallback
    from transformers.utils import logging
    from trl import RewardConfig, RewardTrainer

    datasets.disable_progress_bars()
    logging.set_verbosity_error()  # its table of weights that are new
    ours = RewardBackbone.fresh(config, models)
    ours_weights = {name: p.detach() for name, p in ours.trunk.named_parameters()}
    folder = resolve(config.backbone, models)
    model = AutoModelForSequenceClassification.from_pretrained(
        folder, num_labels=1, dtype=ours.dtype, local_files_only=True
    )
    model.config.pad_token_id = ours.tokenizer.pad_token_id
    prefix, head = ("model", "score") if ours.causal else ("bert", "classifier")
    targets = [
        f"{prefix}.{name.removesuffix('.lora_A.default.weight')}"
        for name in ours_weights
        if name.endswith(".lora_A.default.weight")
    ]

    class Timer(TrainerCallback):  # type: ignore[misc]
        started = seconds = 0.0

        def on_train_begin(self, *_: Any, **__: Any) -> None:
            self.started = clock()

        def on_step_end(self, *_: Any, **__: Any) -> None:
            self.seconds = clock() - self.started

    timer = Timer()
    with tempfile.TemporaryDirectory() as output:
        trainer = RewardTrainer(
            model=model,
            args=RewardConfig(
                output_dir=output,
                per_device_train_batch_size=batch,
                gradient_accumulation_steps=pairs_per_step // batch,
                num_train_epochs=1,
                learning_rate=config.learning_rate,
                lr_scheduler_type="linear",
                warmup_steps=config.warmup_steps,
                weight_decay=0.0,
                max_grad_norm=config.max_grad_norm,
                optim="adamw_torch",
                train_sampling_strategy="sequential",
                gradient_checkpointing=False,
                # Its default: with weights in bfloat16 it was faster than without (docs/LOG.md).
                bf16=ours.dtype == torch.bfloat16,
                use_cpu=not torch.cuda.is_available(),
                max_length=None,
                logging_steps=1,
                save_strategy="no",
                report_to="none",
                disable_tqdm=True,
                seed=config.seed,
            ),
            train_dataset=datasets.Dataset.from_dict(
                {"chosen_ids": [chosen for chosen, _ in pairs], "rejected_ids": [lost for _, lost in pairs]}
            ),
            processing_class=ours.tokenizer,
            callbacks=[timer],
            peft_config=LoraConfig(
                r=config.lora_r,
                lora_alpha=config.lora_alpha,
                target_modules=targets,
                modules_to_save=[head],
                task_type="SEQ_CLS",
            ),
        )
        trainer.remove_callback(_printer())
        with torch.no_grad():
            theirs = dict(trainer.model.named_parameters())
            for name, weight in ours_weights.items():
                if (full := f"base_model.model.{prefix}.{name}") in theirs:
                    theirs[full].copy_(weight)
            theirs[f"base_model.model.{head}.modules_to_save.default.weight"].copy_(ours.head.weight[None])
        trainer.train()
        losses = [row["loss"] for row in trainer.state.log_history if "loss" in row]
    return timer.seconds, losses


def _printer() -> Any:
    from transformers import PrinterCallback

    return PrinterCallback
