"""The data that training reads: tasks, judgments, and the snapshot file that carries both.

A snapshot is UTF-8 JSON Lines: one header, then every task, then every judgment. It is the only
way from the database to the models, so this module imports neither Django nor torch.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

SNAPSHOT_VERSION = 1


@dataclass(frozen=True)
class Example:
    """One input of a task and its right output."""

    input: str
    output: str


@dataclass(frozen=True)
class Task:
    """What the generator sees (`text`, `examples`) and what judges its instructions."""

    id: str
    text: str
    examples: tuple[Example, ...] = ()
    held_out_examples: tuple[Example, ...] = ()
    domain: str = "general"
    language: str = "en"
    held_out: bool = False  # the whole task is kept from training
    reference: str = ""  # an instruction written by a person, where there is one


@dataclass(frozen=True)
class Judgment:
    """One annotator's ranking of the completions of one task; `ranks[i]` 1 is best, ties allowed.

    Where they found all of them bad there is no order: then all ranks are 1.
    """

    id: str
    task_id: str
    annotator: str
    completions: tuple[str, ...]
    ranks: tuple[int, ...]
    strength: int | None = None  # 1 slightly, 2 better, 3 much; only where two were compared
    simulated: bool = False
    all_bad: bool = False
    improved: str = ""  # a text of their own, better than all of these

    def __post_init__(self) -> None:
        if len(self.completions) != len(self.ranks) or len(self.ranks) < 2:
            raise ValueError(
                f"judgment {self.id}: {len(self.completions)} completions, {len(self.ranks)} ranks"
            )
        if self.all_bad and set(self.ranks) != {1}:
            raise ValueError(f"judgment {self.id}: all are bad, and yet some are ranked above others")


@dataclass(frozen=True)
class Dataset:
    """Tasks by id, and judgments on them."""

    tasks: dict[str, Task]
    judgments: tuple[Judgment, ...] = ()

    def judgments_on(self, *, held_out: bool) -> list[Judgment]:
        """The judgments whose task is (or is not) held out whole."""
        return [j for j in self.judgments if self.tasks[j.task_id].held_out == held_out]


@dataclass(frozen=True)
class Sample:
    """One text the policy wrote, kept for people to look at."""

    task_id: str
    text: str
    reference_text: str = ""  # what the reference (LoRA off) wrote for the same task
    values: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Record:
    """What a training function yields after each step: `step` of `total`, numbers, a few samples."""

    step: int
    total: int
    values: dict[str, float]
    samples: tuple[Sample, ...] = ()
    note: str = ""  # why a run stopped early, what was skipped


def refuse_held_out(tasks: Iterable[Task]) -> None:
    """Raises ValueError, naming them, where some are held out: none of these may be trained on."""
    if held_out := [task.id for task in tasks if task.held_out]:
        raise ValueError(f"held-out tasks must not be trained on: {', '.join(held_out[:5])}")


def task_from_json(row: dict[str, Any]) -> Task:
    """Build a task from the dictionary that `dataclasses.asdict` makes of one."""
    examples = {
        name: tuple(Example(**example) for example in row.get(name, ()))
        for name in ("examples", "held_out_examples")
    }
    return Task(**{**row, **examples})


def judgment_from_json(row: dict[str, Any]) -> Judgment:
    """Build a judgment from the dictionary that `dataclasses.asdict` makes of one."""
    return Judgment(**{**row, "completions": tuple(row["completions"]), "ranks": tuple(row["ranks"])})


def snapshot_lines(tasks: Iterable[Task], judgments: Iterable[Judgment], **header: Any) -> Iterator[str]:
    """The lines of a snapshot file, in the order given; the caller sorts, so that hashes repeat."""
    yield _line({"type": "header", "version": SNAPSHOT_VERSION, **header})
    for task in tasks:
        yield _line({"type": "task", **dataclasses.asdict(task)})
    for judgment in judgments:
        yield _line({"type": "judgment", **dataclasses.asdict(judgment)})


def read_snapshot(path: Path) -> Dataset:
    """Read a snapshot file. Raises ValueError naming the line where it is malformed."""
    tasks: dict[str, Task] = {}
    judgments: list[Judgment] = []
    with path.open(encoding="utf-8") as lines:
        for number, line in enumerate(lines, start=1):
            try:
                row = json.loads(line)
                kind = row.pop("type")
                if kind == "header" and row["version"] != SNAPSHOT_VERSION:
                    raise ValueError(f"version {row['version']} is not {SNAPSHOT_VERSION}")
                if kind == "task":
                    task = task_from_json(row)
                    tasks[task.id] = task
                elif kind == "judgment":
                    judgment = judgment_from_json(row)
                    if judgment.task_id not in tasks:
                        raise ValueError(f"no task {judgment.task_id}")
                    judgments.append(judgment)
            except (ValueError, KeyError, TypeError, AttributeError) as error:
                raise ValueError(f"{path.name}, line {number}: {error}") from error
    return Dataset(tasks=tasks, judgments=tuple(judgments))


def read_dataset(path: Path) -> Dataset:
    """Read a snapshot, or a file with a task on each line: the fields of `Task`, an id where it has one.

    Raises ValueError naming the line.
    """
    tasks: dict[str, Task] = {}
    with path.open(encoding="utf-8") as lines:
        for number, line in enumerate(lines, start=1):
            try:
                row = json.loads(line)
                if number == 1 and "type" in row:
                    return read_snapshot(path)
                task = task_from_json({"id": str(number), "text": "", **row})
                if not task.text and not task.examples:
                    raise ValueError("a task needs a text or examples")
                if task.id in tasks:
                    raise ValueError(f"there is a task {task.id} already")
            except (ValueError, TypeError) as error:
                raise ValueError(f"{path.name}, line {number}: {error}") from error
            tasks[task.id] = task
    return Dataset(tasks)


def _line(row: dict[str, Any]) -> str:
    return json.dumps(row, ensure_ascii=False, sort_keys=True) + "\n"
