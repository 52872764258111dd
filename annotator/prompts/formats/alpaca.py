"""Alpaca: rows of instruction, input and output (Dolly's instruction, context and response too).

The instruction is what PrefLoop is about: it becomes the completion and the reference, of a task that shows
input and output as an example. Where the answers are to be compared (`answers`), instruction and input
become the task and the output its completion. `chosen` and `rejected` in place of the output, as
LLaMA-Factory has them, are answers in any case, and a preference.
"""

from __future__ import annotations

from annotator.prompts import fields
from annotator.prompts.fields import Row
from annotator.prompts.formats.given import Given
from annotator.prompts.records import Record

NAME = "alpaca"
INPUT, OUTPUT = ("input", "context"), ("output", "response")
COMMON = frozenset(("instruction",))


def recognises(row: Row) -> bool:
    """Whether it has an instruction, and an output or a preference between two."""
    if not isinstance(row.get("instruction"), str):
        return False
    return any(name in row for name in OUTPUT) or ({"chosen", "rejected"} <= set(row) and "prompt" not in row)


def read(line: int, row: Row, *, answers: bool) -> Record:
    """The row as a record. Raises FieldProblem."""
    input_name = fields.only_one(row, INPUT)
    instruction = fields.needed("instruction", row.get("instruction"))
    given_input = fields.optional(input_name, row)
    given = Given()
    if {"chosen", "rejected"} <= set(row):
        given.completion("chosen", row["chosen"])
        given.completion("rejected", row["rejected"])
        given.ranking((1, 2), source=NAME)
        known = COMMON | {input_name, "chosen", "rejected"}
    else:
        output_name = fields.only_one(row, OUTPUT)
        output = fields.written(output_name, row.get(output_name))
        known = COMMON | {input_name, output_name}
        if not answers:
            fields.needed(output_name, output)
            return _of_example(line, row, instruction, given_input, output, known)
        if output.strip():
            given.completion(output_name, output, fields.optional("source", row))
    completions, preferences, left_out = given.result()
    return Record(
        line=line,
        text=prompt_of(instruction, given_input),
        completions=completions,
        preferences=preferences,
        **fields.about(row),
        ignored=fields.ignored(row, known) + left_out,
    )


def prompt_of(instruction: str, given_input: str) -> str:
    """What the generator would be asked for an answer."""
    return f"{instruction}\n\n{given_input}" if given_input.strip() else instruction


def _of_example(
    line: int, row: Row, instruction: str, given_input: str, output: str, known: frozenset[str]
) -> Record:
    return Record(
        line=line,
        text="",
        instruction=instruction,
        examples=({"input": given_input, "output": output},),
        reference=instruction,
        **fields.about(row),
        ignored=fields.ignored(row, known),
    )
