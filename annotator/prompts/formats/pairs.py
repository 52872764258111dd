"""Pairs, `text<TAB>label`: each line is an instruction (`text`) and the task it was written for (`label`).

A first line of column names (`text`, `instruction`, `completion`; `label`, `task`, `prompt`) is optional and,
where it names them the other way round, decides their order. There is no quoting: a line has exactly one tab.
"""

from __future__ import annotations

from annotator.prompts import fields
from annotator.prompts.fields import FieldProblem
from annotator.prompts.records import Record

NAME = "tsv"
HEADER_INSTRUCTION = {"text", "instruction", "completion"}
HEADER_TASK = {"label", "task", "prompt"}


def recognises(lines: list[str]) -> bool:
    """Whether the first lines have one tab, or the very first does and few others do."""
    return bool(lines) and lines[0].count("\t") == 1


def header(first: str) -> tuple[bool, bool]:
    """Whether the line names the columns, and whether the task's comes first.

    Raises FieldProblem if it names two of a kind.
    """
    names = [name.strip().lower() for name in first.split("\t")]
    if len(names) != 2 or not set(names) <= HEADER_INSTRUCTION | HEADER_TASK or names[0] == names[1]:
        return False, False
    if (names[0] in HEADER_TASK) == (names[1] in HEADER_TASK):
        raise FieldProblem("", "the column names must be one for instructions and one for tasks.")
    return True, names[0] in HEADER_TASK


def read(line: int, content: str, *, task_first: bool) -> Record:
    """The line as a record. Raises FieldProblem."""
    columns = content.split("\t")
    if len(columns) != 2:
        raise FieldProblem("", f"{len(columns)} columns instead of two: an instruction, a tab, a task.")
    if task_first:
        columns.reverse()
    instruction = fields.needed("text", columns[0])
    return Record(line=line, text=fields.needed("label", columns[1]), instruction=instruction)
