"""What an evaluation found: each task's completions and their scores, and the figures made of them."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from rlhf.lm.configs import EvaluationConfig
from rlhf.lm.gold import GoldScore
from rlhf.lm.metrics import Interval, bootstrap_difference, bootstrap_mean, distinct_n, self_similarity

CONTROLS = ("none", "people", "one_output", "pasted")
SIDES = ("old", "new")


@dataclass(frozen=True)
class Written:
    """One completion and what was made of it; None where the task or the evaluation cannot say."""

    text: str
    tokens: int
    gold: GoldScore | None
    reward: float | None
    reward_std: float | None


@dataclass(frozen=True)
class TaskResult:
    """One held-out task: what both policies wrote, the controls' contrast, KL of new to old in nats."""

    task_id: str
    old: tuple[Written, ...]
    new: tuple[Written, ...]
    controls: dict[str, float]
    kl: float

    @classmethod
    def from_json(cls, row: dict[str, Any]) -> TaskResult:
        """Build it from the dictionary that `dataclasses.asdict` makes of one."""
        sides = {
            side: tuple(
                Written(**{**written, "gold": GoldScore(**written["gold"]) if written["gold"] else None})
                for written in row[side]
            )
            for side in SIDES
        }
        return cls(**{**row, **sides})

    def mean(self, side: str, measure: str, *, pessimism: float = 0.0) -> float | None:
        """Mean over a side's completions: gold, log_likelihood, reward, pessimistic, length or leaks."""
        written: tuple[Written, ...] = self.old if side == "old" else self.new
        values = [_value(w, measure, pessimism) for w in written]
        known = [value for value in values if value is not None]
        return float(np.mean(known)) if known else None


@dataclass(frozen=True)
class Measure:
    """One measure of old and new, means of tasks, and the paired difference, with 95 % intervals."""

    old: Interval
    new: Interval
    difference: Interval


@dataclass(frozen=True)
class Plain:
    """A measure of all texts together, which has no mean over tasks."""

    old: float
    new: float
    difference: float


@dataclass(frozen=True)
class EvaluationResult:
    """Old against new. A measure that nothing could be said about is None, and left out of the JSON."""

    gold: Measure | None
    """Contrast, nats a token (DESIGN, section 1)."""
    log_likelihood: Measure | None
    reward: Measure | None
    pessimistic: Measure | None
    """Reward less `pessimism` standard deviations of the heads."""
    length: Measure
    """Tokens a completion."""
    leaks: Measure | None
    """Share of the completions that quote their task's examples."""
    distinct_2: Plain
    self_similarity: Plain
    """Of the completions of one task with each other."""
    kl: float
    """Nats a completion by which the new policy's texts are likelier under it than under the old one."""
    controls: dict[str, Interval]
    """Contrast of no instruction, of people's, and of two ways to game the metric."""
    gap_closed: float | None
    """(new - old) / (people - old), over the tasks that people wrote an instruction for."""
    completions: int
    """Written by each policy."""
    tasks: tuple[dict[str, Any], ...]
    """A row for each task: its means and a text of each side."""

    def to_json(self) -> dict[str, Any]:
        """Plain JSON; intervals as {"value", "low", "high"}."""
        return {name: value for name, value in dataclasses.asdict(self).items() if value is not None}


def summarise(config: EvaluationConfig, results: Sequence[TaskResult]) -> EvaluationResult:
    """The figures of all tasks together; a task counts once, however many completions it has."""

    def measure(name: str) -> Measure | None:
        means = [
            tuple(result.mean(side, name, pessimism=config.pessimism) for side in SIDES) for result in results
        ]
        known = [(old, new) for old, new in means if old is not None and new is not None]
        if not known:
            return None
        old, new = [pair[0] for pair in known], [pair[1] for pair in known]
        return Measure(
            old=bootstrap_mean(old, resamples=config.bootstrap, seed=config.seed),
            new=bootstrap_mean(new, resamples=config.bootstrap, seed=config.seed),
            difference=bootstrap_difference(old, new, resamples=config.bootstrap, seed=config.seed),
        )

    length = measure("length")
    if length is None:
        raise ValueError("there are no completions to evaluate")
    controls = {
        name: bootstrap_mean(values, resamples=config.bootstrap, seed=config.seed)
        for name in CONTROLS
        if (values := [result.controls[name] for result in results if name in result.controls])
    }
    return EvaluationResult(
        gold=measure("gold"),
        log_likelihood=measure("log_likelihood"),
        reward=measure("reward"),
        pessimistic=measure("pessimistic"),
        length=length,
        leaks=measure("leaks"),
        distinct_2=_plain([distinct_n([w.text for r in results for w in getattr(r, s)], 2) for s in SIDES]),
        self_similarity=_plain(
            [
                float(np.mean([self_similarity([w.text for w in getattr(r, s)]) for r in results]))
                for s in SIDES
            ]
        ),
        kl=float(np.mean([result.kl for result in results])),
        controls=controls,
        gap_closed=gap_closed(results),
        completions=sum(len(result.new) for result in results),
        tasks=tuple(_row(result) for result in results),
    )


def gap_closed(results: Sequence[TaskResult]) -> float | None:
    """How far the new policy came from the old one's gold to people's; None where people are not ahead."""
    rows = [
        (old, new, result.controls["people"])
        for result in results
        if "people" in result.controls
        and (old := result.mean("old", "gold")) is not None
        and (new := result.mean("new", "gold")) is not None
    ]
    if not rows:
        return None
    old, new, people = np.mean(rows, axis=0).tolist()
    return (new - old) / (people - old) if people > old else None


def _value(written: Written, measure: str, pessimism: float) -> float | None:
    gold, reward, std = written.gold, written.reward, written.reward_std
    if measure == "length":
        return float(written.tokens)
    if measure == "reward":
        return reward
    if measure == "pessimistic":
        return None if reward is None or std is None else reward - pessimism * std
    if gold is None:
        return None
    return {"gold": gold.contrast, "log_likelihood": gold.log_likelihood, "leaks": float(gold.leak)}[measure]


def _plain(values: Sequence[float]) -> Plain:
    old, new = values
    return Plain(old, new, new - old)


def _row(result: TaskResult) -> dict[str, Any]:
    return {
        "task_id": result.task_id,
        "old": result.mean("old", "gold"),
        "new": result.mean("new", "gold"),
        "reward_old": result.mean("old", "reward"),
        "reward_new": result.mean("new", "reward"),
        "people": result.controls.get("people"),
        "none": result.controls.get("none"),
        "kl": result.kl,
        "text_old": result.old[0].text,
        "text_new": result.new[0].text,
    }
