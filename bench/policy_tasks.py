"""The tasks of bench/policy.py: those of a folder, some of which are left out, and the demo's to train on.

A file of tasks is JSON Lines, each with `task` (a name), `instructions` (written by people), `induce` and
`execute` (pairs of `input` and `output`, disjoint), as in instruction induction (Honovich et al. 2022, arXiv
2205.10782). The generator is shown pairs to induce from; an instruction is judged on pairs to execute.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from rlhf.lm.backbones import Encoder
from rlhf.lm.data import Example, Task
from rlhf.lm.prompting import SHOWN_EXAMPLES

DEMO = Path(__file__).resolve().parent.parent / "annotator" / "demo"
FOLDS = 3
TRAINING_VARIANTS, LEFT_OUT_VARIANTS = 4, 4
"""Prompts made of one task: each shows other examples."""
GIVEN = 12
"""Examples of a prompt, of which the generator is shown the first and a reward model may try all."""
TRAINING_JUDGED, LEFT_OUT_JUDGED = 6, 10
"""Examples that an instruction is judged on."""
ALIKE = 0.6
"""Cosine of instructions by people from which a demo task is too much like a left-out one."""


@dataclass(frozen=True)
class Induction:
    """One task of a file."""

    name: str
    instructions: tuple[str, ...]
    induce: tuple[Example, ...]
    execute: tuple[Example, ...]


@dataclass(frozen=True)
class Split:
    """What is trained on and what is left out, as prompts. A left-out task's prompts share its name."""

    training: tuple[Task, ...]
    left_out: tuple[Task, ...]
    instructions: dict[str, tuple[str, ...]]
    """Of each left-out task by its name, what people wrote."""
    dropped: int
    """Demo tasks too much like left-out ones."""


def read_folder(folder: Path) -> list[Induction]:
    """The tasks of all files of this form in a folder, in the order of files and lines.

    Raises SystemExit, naming the line, for a malformed one, and where there is none.
    """
    found: list[Induction] = []
    for path in sorted(folder.glob("*.jsonl")):
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
            try:
                row = json.loads(line)
                if not {"task", "instructions", "induce", "execute"} <= set(row):
                    break  # a file of another kind
                found.append(_induction(row))
            except (ValueError, KeyError, TypeError) as error:
                raise SystemExit(f"{path}, line {number}: {error}") from error
    if not found:
        raise SystemExit(f"{folder} holds no JSON Lines with task, instructions, induce and execute")
    return found


def name_of(task: Task) -> str:
    """The task that a prompt is a variant of."""
    return task.id.rpartition("#")[0]


def split(tasks: Sequence[Induction], *, seed: int, encoder: Encoder) -> Split:
    """Leave every third task out, another third for each of three seeds; train on the rest and the demo's.

    The demo's tasks are given without their text, as the others have none.
    """
    order = np.random.default_rng(0).permutation(len(tasks))  # the same folds whatever the seed
    left = [tasks[i] for place, i in enumerate(order) if place % FOLDS == seed % FOLDS]
    rest = [tasks[i] for place, i in enumerate(order) if place % FOLDS != seed % FOLDS]
    demo, dropped = _demo(left, encoder)
    rng = np.random.default_rng([seed, 1])
    return Split(
        training=tuple(
            [p for task in rest for p in _prompts(task, TRAINING_VARIANTS, TRAINING_JUDGED, rng, False)]
            + demo
        ),
        left_out=tuple(
            p for task in left for p in _prompts(task, LEFT_OUT_VARIANTS, LEFT_OUT_JUDGED, rng, True)
        ),
        instructions={task.name: task.instructions for task in left},
        dropped=dropped,
    )


def _prompts(
    task: Induction, variants: int, judged: int, rng: np.random.Generator, held_out: bool
) -> list[Task]:
    """Prompts that show other examples to induce from, each judged on examples to execute of its own."""
    prompts = []
    for number in range(variants):
        shown = rng.permutation(len(task.induce))[:GIVEN]
        judging = rng.permutation(len(task.execute))[:judged]
        prompts.append(
            Task(
                id=f"{task.name}#{number}",
                text="",
                examples=tuple(task.induce[i] for i in shown),
                held_out_examples=tuple(task.execute[i] for i in judging),
                held_out=held_out,
                reference=task.instructions[0],
            )
        )
    return prompts


def _demo(left: Sequence[Induction], encoder: Encoder) -> tuple[list[Task], int]:
    """The demo's English tasks that can be judged, but those that ask for what a left-out task asks for."""
    rows: list[dict[str, Any]] = []
    for path in sorted(DEMO.glob("*_en.jsonl")):
        rows += [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    rows = [row for row in rows if row["examples"] and row["held_out_examples"]]
    written = encoder.encode([text for task in left for text in task.instructions])  # (I, H), unit length
    nearest = (encoder.encode([row["reference"] for row in rows]) @ written.T).max(1)  # (R,)
    kept = [
        Task(
            id=f"demo-{number}#0",
            text="",
            examples=tuple(Example(**e) for e in row["examples"]),
            held_out_examples=tuple(Example(**e) for e in row["held_out_examples"]),
            domain=row["domain"],
            reference=row["reference"],
        )
        for number, row in enumerate(rows)
        if nearest[number] < ALIKE
    ]
    return kept, len(rows) - len(kept)


def _induction(row: dict[str, Any]) -> Induction:
    def pairs(name: str) -> tuple[Example, ...]:
        return tuple(Example(str(pair["input"]), str(pair["output"])) for pair in row[name])

    instructions = tuple(str(text).strip() for text in row["instructions"] if str(text).strip())
    if not instructions or len(row["induce"]) < SHOWN_EXAMPLES or len(row["execute"]) < 2:
        raise ValueError(f"task {row['task']!r} has too few instructions or examples")
    return Induction(str(row["task"]), instructions, pairs("induce"), pairs("execute"))
