"""The two trainers that policy_step.py compares, one step at a time: this project's GRPO, and TRL's."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import torch
from trainers import Clock

from rlhf.lm import policy_gradient
from rlhf.lm.backbones import CausalLM, Encoder, load_causal
from rlhf.lm.configs import PolicyConfig
from rlhf.lm.data import Task


@dataclass
class Seconds:
    """Of one step, or of a part of it: the update holds the reference's forward pass too."""

    sampling: float = 0.0
    scoring: float = 0.0
    update: float = 0.0

    @property
    def whole(self) -> float:
        """All three."""
        return sum(asdict(self).values())


class Scorer:
    """Stands for a reward model: a random direction in a sentence encoder's space.

    It times itself, so each side has its own.
    """

    def __init__(self, encoder: Encoder, clock: Clock) -> None:
        width = encoder.model.config.hidden_size
        self.encoder, self.clock, self.seconds = encoder, clock, 0.0
        self.direction = np.random.default_rng(0).normal(size=width)

    def __call__(self, texts: Sequence[str]) -> np.ndarray:
        """Scores of completions. Shape: (len(texts),)."""
        started = self.clock()
        scores: np.ndarray = self.encoder.encode(texts) @ self.direction
        self.seconds += self.clock() - started
        return scores


@contextmanager
def our_steps(
    config: PolicyConfig,
    prompts: Sequence[Sequence[int]],
    scorer: Scorer,
    *,
    backbone: str,
    models: Path,
    dtype: torch.dtype,
) -> Iterator[Iterator[Seconds]]:
    """Our trainer as an iterator over its steps. Times are those of its records, by the wall's clock."""
    tasks = [Task(id=str(n), text=str(n)) for n in range(len(prompts))]

    def score(items: list[tuple[Task, str]]) -> tuple[np.ndarray, np.ndarray]:
        return scorer([text for _, text in items]), np.zeros(len(items))

    def steps(folder: Path) -> Iterator[Seconds]:
        lm = load_causal(backbone, models, dtype)
        run = policy_gradient.train(config, policy=lm, tasks=tasks, score=score, folder=folder)
        before = scorer.seconds
        for record in run:
            scoring, before = scorer.seconds - before, scorer.seconds
            tokens = config.prompts_per_step * config.completions_per_prompt * config.max_new_tokens
            sampling = record.values["sampling_seconds"]
            assert round(record.values["tokens_per_s"] * sampling) == tokens
            assert record.values["useful"] == 1
            yield Seconds(sampling, scoring, record.values["seconds"] - sampling - scoring)

    with (
        tempfile.TemporaryDirectory() as folder,
        mock.patch.object(policy_gradient, "generator_ids", lambda _, task: list(prompts[int(task.id)])),
        mock.patch.object(policy_gradient.time, "perf_counter", scorer.clock),
        mock.patch.object(CausalLM, "end_ids", frozenset()),  # no token ends a completion
    ):
        yield steps(Path(folder))


class TrlSteps:
    """TRL's GRPOTrainer on the same prompts, from the same weights; each call is a step."""

    def __init__(
        self,
        config: PolicyConfig,
        prompts: Sequence[Sequence[int]],
        scorer: Scorer,
        *,
        batch: int,
        checkpointing: bool,
        backbone: str,
        models: Path,
        dtype: torch.dtype,
    ) -> None:
        import datasets
        from peft import LoraConfig
        from transformers import PrinterCallback, TrainerCallback
        from trl import GRPOConfig, GRPOTrainer

        datasets.disable_progress_bars()
        lm = load_causal(backbone, models, dtype)
        completions = config.prompts_per_step * config.completions_per_prompt
        self.scorer, self.clock, self.steps = scorer, scorer.clock, [Seconds()]
        steps = self

        def reward(completions: list[str], completion_ids: list[list[int]], **_: Any) -> list[float]:
            assert {len(ids) for ids in completion_ids} == {steps.trainer.generation_config.max_new_tokens}
            before = scorer.seconds
            scores = scorer(completions)
            steps.steps[-1].scoring += scorer.seconds - before
            return [float(score) for score in scores]

        class Timer(TrainerCallback):  # type: ignore[misc]
            started = 0.0

            def on_step_begin(self, *_: Any, **__: Any) -> None:
                steps.steps.append(Seconds())
                self.started = steps.clock()

            def on_step_end(self, *_: Any, **__: Any) -> None:
                step = steps.steps[-1]
                step.update = steps.clock() - self.started - step.sampling - step.scoring

        self.output = tempfile.TemporaryDirectory()
        self.trainer = GRPOTrainer(
            model=lm.model,
            reward_funcs=reward,
            args=GRPOConfig(
                output_dir=self.output.name,
                per_device_train_batch_size=batch,
                gradient_accumulation_steps=completions // batch,
                num_generations=config.completions_per_prompt,
                max_completion_length=config.max_new_tokens,
                temperature=config.temperature,
                top_k=0,
                generation_kwargs={"eos_token_id": None},
                max_steps=1,
                learning_rate=config.learning_rate,
                weight_decay=0.0,
                max_grad_norm=config.max_grad_norm,
                beta=config.kl_coef,
                epsilon=config.clip_coef,
                loss_type="grpo",
                optim="adamw_torch",
                gradient_checkpointing=checkpointing,
                bf16=dtype == torch.bfloat16,
                use_cpu=not torch.cuda.is_available(),
                save_strategy="no",
                report_to="none",
                disable_tqdm=True,
                seed=config.seed,
            ),
            train_dataset=datasets.Dataset.from_dict({"prompt": [lm.tokenizer.decode(p) for p in prompts]}),
            processing_class=lm.tokenizer,
            callbacks=[Timer()],
            peft_config=LoraConfig(
                r=config.lora_r,
                lora_alpha=config.lora_alpha,
                target_modules="all-linear",
                task_type="CAUSAL_LM",
            ),
        )
        self.trainer.remove_callback(PrinterCallback)
        self.trainer.eos_token_ids = [-1]  # no token ends a completion
        generate = self.trainer._generate

        def timed(*arguments: Any) -> Any:
            started = self.clock()
            result = generate(*arguments)
            self.steps[-1].sampling += self.clock() - started
            return result

        self.trainer._generate = timed

    def __call__(self, new_tokens: int) -> Seconds:
        """One step with completions of so many tokens."""
        self.trainer.generation_config.max_new_tokens = new_tokens
        self.trainer.train()
        return self.steps[-1]
