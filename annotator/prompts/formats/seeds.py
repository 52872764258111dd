"""Seed tasks of Self-Instruct and BELLE: an instruction and instances of input and output.

The instances are the task's examples, the instruction its completion and reference. The name is left out: it
says what is to be found. With `answers`, the instruction and the first instance's input are the task and the
output its completion; further instances are further rows to Self-Instruct, but one row is one task here, and
so they are its examples.
"""

from __future__ import annotations

from annotator.prompts import fields
from annotator.prompts.fields import FieldProblem, Row
from annotator.prompts.formats.alpaca import prompt_of
from annotator.prompts.records import GivenCompletion, Record

NAME = "seeds"
KNOWN = frozenset(("instruction", "instances"))


def recognises(row: Row) -> bool:
    """Whether it has an instruction and instances."""
    return "instruction" in row and isinstance(row.get("instances"), list)


def read(line: int, row: Row, *, answers: bool) -> Record:
    """The row as a record. Raises FieldProblem."""
    instruction = fields.needed("instruction", row.get("instruction"))
    instances = row.get("instances")
    if isinstance(instances, list):
        instances = [_only_pair(instance) for instance in instances]
    examples = fields.examples("instances", instances)
    if not examples:
        raise FieldProblem("instances", "are none.")
    about, ignored = fields.about(row), fields.ignored(row, KNOWN)
    if answers:
        first, *others = examples
        return Record(
            line,
            prompt_of(instruction, first["input"]),
            examples=tuple(others),
            completions=(GivenCompletion(first["output"]),),
            ignored=ignored,
            **about,
        )
    return Record(
        line, "", instruction=instruction, examples=examples, reference=instruction, ignored=ignored, **about
    )


def _only_pair(instance: object) -> object:
    """The instance without what some files add to it, and with an empty input where there is none."""
    if not isinstance(instance, dict) or "output" not in instance:
        return instance
    given = instance.get("input")
    return {"input": "" if given is None else given, "output": instance["output"]}
