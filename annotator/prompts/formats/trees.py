"""Open-Assistant's trees: a first message, replies to it, and the rank each was given.

Only the tree's first message becomes a task: with its replies as completions, and their ranks (0 is best) as
one preference. What was said further down belongs to other tasks, and is counted as left out.
"""

from __future__ import annotations

from typing import Any

from annotator.prompts import fields
from annotator.prompts.fields import FieldProblem, Row
from annotator.prompts.formats.given import Given, dense
from annotator.prompts.records import Record

NAME = "trees"
KNOWN = frozenset(("message_tree_id", "tree_state", "prompt"))


def recognises(row: Row) -> bool:
    """Whether it is a tree of messages."""
    prompt = row.get("prompt")
    return isinstance(prompt, dict) and "text" in prompt and "replies" in prompt


def read(line: int, row: Row) -> Record:
    """The row as a record. Raises FieldProblem."""
    prompt = row.get("prompt")
    if not isinstance(prompt, dict):
        raise FieldProblem("prompt", f"must be an object, not {fields.kind(prompt)}.")
    replies = prompt.get("replies")
    if not isinstance(replies, list):
        raise FieldProblem("prompt.replies", f"must be a list, not {fields.kind(replies)}.")
    given, ranks, deeper = Given(), [], False
    for place, reply in enumerate(replies, start=1):
        where = f"prompt.replies[{place}]"
        if not isinstance(reply, dict):
            raise FieldProblem(where, f"must be an object, not {fields.kind(reply)}.")
        given.completion(f"{where}.text", reply.get("text"), str(reply.get("model") or ""))
        ranks.append(_rank(reply.get("rank")))
        deeper = deeper or bool(reply.get("replies"))
    if sum(rank > 0 for rank in ranks) > 1:
        given.ranking(dense(ranks), source="rank")
    completions, preferences, left_out = given.result()
    return Record(
        line=line,
        text=fields.needed("prompt.text", prompt.get("text")),
        completions=completions,
        preferences=preferences,
        **fields.about({**row, "language": prompt.get("lang")}),
        ignored=fields.ignored(row, KNOWN) + left_out + (("further replies",) if deeper else ()),
    )


def _rank(value: Any) -> int:
    """Counted from 1, and 0 for none."""
    return int(value) + 1 if isinstance(value, int | float) and value == value and 0 <= value < 1000 else 0
