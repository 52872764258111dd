"""Instruction induction (Honovich et al. 2022, arXiv 2205.10782).

A row has a task's name, instructions that people wrote for it, pairs of input and output to find it from
(`induce`) and others to try it on (`execute`).

The pairs to induce from are the examples, those to execute the held-out ones, every instruction a completion
by people, the first the reference. The name is left out: it says what is to be found.
"""

from __future__ import annotations

from annotator.prompts import fields
from annotator.prompts.fields import FieldProblem, Row
from annotator.prompts.formats.given import Given
from annotator.prompts.records import Record

NAME = "induction"
KNOWN = frozenset(("instructions", "induce", "execute"))


def recognises(row: Row) -> bool:
    """Whether it has instructions, and pairs to induce from."""
    return isinstance(row.get("instructions"), list) and "induce" in row


def read(line: int, row: Row) -> Record:
    """The row as a record. Raises FieldProblem."""
    instructions = row.get("instructions")
    if not isinstance(instructions, list):
        raise FieldProblem("instructions", f"must be a list, not {fields.kind(instructions)}.")
    given = Given()
    for place, instruction in enumerate(instructions, start=1):
        given.completion(f"instructions[{place}]", instruction, "people")
    completions, _, left_out = given.result()
    examples = fields.examples("induce", row.get("induce"))
    if not examples:
        raise FieldProblem("induce", "has no examples.")
    return Record(
        line=line,
        text="",
        examples=examples,
        held_out_examples=fields.examples("execute", row.get("execute")),
        reference=completions[0].text if completions else "",
        completions=completions,
        **fields.about(row),
        ignored=fields.ignored(row, KNOWN) + left_out,
    )
