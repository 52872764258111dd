"""PrefLoop's own rows: the task as `text`, `task` or `prompt`, with whatever else is known of it.

Optional: `instruction` or `completion` (TRL's prompt-completion rows are read so too), `examples` and
`held_out_examples` ([{"input": …, "output": …}]), `reference`, `domain`, `language`, `source`, and `image` (a
name within the zip) with `image_text`, which is the task where there is no other. Other names for these,
English and Chinese, are understood (`headed`); other fields are left out and counted.
"""

from __future__ import annotations

from annotator.prompts import fields
from annotator.prompts.fields import FieldProblem, Row
from annotator.prompts.formats.headed import renamed
from annotator.prompts.records import Record

NAME = "tasks"
TASK_FIELDS = ("text", "task", "prompt")
INSTRUCTION_FIELDS = ("instruction", "completion")
OTHER_FIELDS = (
    "domain", "language", "examples", "held_out_examples", "reference", "image", "image_text", "source"
)  # fmt: skip
KNOWN = frozenset((*TASK_FIELDS, *INSTRUCTION_FIELDS, *OTHER_FIELDS))


def recognises(row: Row) -> bool:
    """Whether the row has a task under one of its names, or examples."""
    return bool({*TASK_FIELDS, "examples", "image_text"} & set(renamed(row)))


def read(line: int, row: Row) -> Record:
    """The row as a record. Raises FieldProblem."""
    row = renamed(row)
    task_field = fields.only_one(row, TASK_FIELDS)
    instruction_field = fields.only_one(row, INSTRUCTION_FIELDS)
    text = fields.text(task_field, row.get(task_field, ""))
    examples = fields.examples("examples", row.get("examples"))
    image, image_text = fields.optional("image", row), fields.optional("image_text", row)
    if not text.strip() and not examples:
        text = image_text
    if not text.strip() and not examples:
        raise FieldProblem(task_field, "is empty, and there are no examples.")
    instruction = ""
    if instruction_field in row:
        instruction = fields.needed(instruction_field, row[instruction_field])
    return Record(
        line=line,
        text=text,
        instruction=instruction,
        examples=examples,
        held_out_examples=fields.examples("held_out_examples", row.get("held_out_examples")),
        reference=fields.optional("reference", row),
        domain=fields.domain(row),
        language=fields.language(row),
        image=image,
        image_text=image_text if image else "",
        source=fields.about(row)["source"],
        ignored=fields.ignored(row, KNOWN),
    )
