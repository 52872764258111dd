"""What TRL's trainers log, as our records; the run's limits are kept here."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any

from transformers import TrainerCallback

from rlhf.lm.configs import PolicyConfig
from rlhf.lm.data import Record
from rlhf.lm.guards import limit_passed

NAMES = {
    "loss": "loss",
    "grad_norm": "grad_norm",
    "reward": "reward",
    "score": "score",
    "score_std": "score_std",
    "repetition": "repetition",
    "kl": "kl",
    "entropy": "entropy",
    "completions/mean_length": "length",
    "rewards/margins": "margin",
    "rewards/accuracies": "accuracy_train",
}
"""Ours of TRL's."""


class Records(TrainerCallback):  # type: ignore[misc]
    """Reports a record a step, those of a resumed run again; stops the run beyond a limit.

    Record i is about the policy after i updates, as ours are; there is none about the last policy.
    """

    def __init__(self, config: Any, report: Callable[[Record], None]) -> None:
        self.config = config
        self.rollouts = isinstance(config, PolicyConfig)
        self.report = report
        self.records: list[Record] = []
        self.stopped = ""
        self.since = time.perf_counter()

    def updates(self, steps: int) -> int:
        """Updates of the optimizer in so many of our steps."""
        return steps * self.config.epochs if self.rollouts else steps

    def done(self, updates: int) -> int:
        """Undo `updates`."""
        return updates // self.config.epochs if self.rollouts else updates

    @property
    def best_step(self) -> int:
        """The latest of the saved steps within the limits with the highest reward; 0 is untrained."""
        within = [r for r in self.records[:-1] if r.step % self.config.save_every == 0]
        return max(within, key=lambda r: (r.values["reward"], r.step)).step if within else 0

    def on_train_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """TRL's callback: what a resumed run had logged."""
        for row in state.log_history:
            self._take(row, state.max_steps)

    def on_log(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """TRL's callback: a step's figures are there."""
        self._take(state.log_history[-1], state.max_steps)
        control.should_training_stop |= bool(self.stopped)

    def _take(self, row: Mapping[str, Any], updates: int) -> None:
        if ("reward" if self.rollouts else "loss") not in row or self.stopped:
            return  # a further epoch on the same rollouts; the summary at the end
        values = {ours: float(row[name]) for name, ours in NAMES.items() if row.get(name) is not None}
        now = time.perf_counter()
        values["seconds"], self.since = now - self.since, now
        step = self.done(int(row["step"]) - 1)
        total = self.done(updates) if self.rollouts else updates - 1
        if self.rollouts:
            values["kl"] *= values["length"]  # TRL's is of a token, ours of a completion
            start = self.records[0].values if self.records else values
            passed = limit_passed(self.config, values, start)
            self.stopped = f"stopped: {passed}" if passed else ""
        self.records.append(Record(step, total, values, note=self.stopped))
        self.report(self.records[-1])
