"""How far a run of Q-learning is: records, rated texts, heads. A killed run goes on from what is saved."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import torch

from rlhf.lm.data import Record, Sample
from rlhf.lm.q_data import RatedText
from rlhf.lm.q_heads import QHeads
from rlhf.lm.training_state import (
    load_state,
    optimizer_tensors,
    record_from_json,
    record_to_json,
    restore_optimizer,
    save_state,
    under_prefix,
    with_prefix,
)


class Progress:
    """What a run has done so far, in memory and in its folder."""

    def __init__(self, folder: Path, identity: dict[str, Any], *, total: int) -> None:
        self.folder = folder
        self.identity = identity
        self.total = total
        self.records: list[Record] = []
        self.texts: list[RatedText] = []
        self.kept: dict[str, torch.Tensor] = {}  # the heads of the best epoch
        self.best_epoch = -1
        self.best_fit = -math.inf
        self.epochs = 0

    def restore(self, heads: QHeads, optimizer: torch.optim.Optimizer) -> None:
        """Go back to the saved step, if there is one. Raises ResumeMismatch."""
        state = load_state(self.folder, identity=self.identity)
        if state is None:
            return
        heads.load_state_dict(under_prefix("heads", state.tensors))
        restore_optimizer(optimizer, under_prefix("optimizer", state.tensors))
        self.kept = under_prefix("kept", state.tensors)
        self.records = [record_from_json(row) for row in state.facts["records"]]
        self.texts = [RatedText.from_json(row) for row in state.facts["texts"]]
        self.epochs, self.best_epoch = state.facts["epochs"], state.facts["best_epoch"]
        if state.facts["best_fit"] is not None:
            self.best_fit = state.facts["best_fit"]

    def weigh(self, heads: QHeads, found: float | None) -> None:
        """Keep the heads of an epoch if none before fitted better; where nothing was left aside, the last."""
        if found is None or found > self.best_fit:
            self.kept = {name: tensor.clone() for name, tensor in heads.state_dict().items()}
            self.best_epoch = self.epochs
            self.best_fit = self.best_fit if found is None else found
        self.epochs += 1

    def keep(
        self,
        values: dict[str, float],
        heads: QHeads,
        optimizer: torch.optim.Optimizer,
        *,
        step: int = -1,
        samples: tuple[Sample, ...] = (),
        note: str = "",
        save: bool = True,
    ) -> Record:
        """Make the next record, and save all of this with it. A last one may skip to its `step`."""
        record = Record(step if step >= 0 else len(self.records), self.total, values, samples, note)
        self.records.append(record)
        if save:
            save_state(
                self.folder,
                step=record.step,
                tensors=with_prefix("heads", heads.state_dict())
                | with_prefix("optimizer", optimizer_tensors(optimizer))
                | with_prefix("kept", self.kept),
                facts={
                    "identity": self.identity,
                    "records": [record_to_json(record) for record in self.records],
                    "texts": [text.to_json() for text in self.texts],
                    "epochs": self.epochs,
                    "best_epoch": self.best_epoch,
                    "best_fit": self.best_fit if math.isfinite(self.best_fit) else None,
                },
            )
        return record
