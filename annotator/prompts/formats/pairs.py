"""Pairs, `text<TAB>label`: each line is an instruction (`text`) and the task it was written for (`label`).

A first line of column names (`text`, `instruction`, `completion`; `label`, `task`, `prompt`) is optional and,
where it names them the other way round, decides their order. There is no quoting: a line has exactly one tab.
"""

from __future__ import annotations

from annotator.prompts import fields
from annotator.prompts.fields import FieldProblem, Row
from annotator.prompts.records import Record

NAME = "pairs"
HEADER_INSTRUCTION = {"text", "instruction", "completion"}
HEADER_TASK = {"label", "task", "prompt"}


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


def row(line: str, *, task_first: bool) -> Row:
    """The line as a row. Raises FieldProblem unless it has one tab."""
    columns = line.split("\t")
    if len(columns) != 2:
        raise FieldProblem("", f"{len(columns)} columns instead of two: an instruction, a tab, a task.")
    if task_first:
        columns.reverse()
    return {"text": columns[0], "label": columns[1]}


def recognises(row: Row) -> bool:
    """Whether it is a pair's row."""
    return set(row) == {"text", "label"}


def read(line: int, row: Row) -> Record:
    """The row as a record. Raises FieldProblem."""
    instruction = fields.needed("text", row["text"])
    return Record(line=line, text=fields.needed("label", row["label"]), instruction=instruction)
