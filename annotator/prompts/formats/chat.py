"""Conversations: OpenAI's `messages`, ShareGPT's `conversations`, and OpenAI's pairs for preference tuning.

All before the last answer is the task (a single question stands alone, more is written as a transcript); the
last answer is the completion. LLaMA-Factory's ShareGPT rows with `chosen` and `rejected` bring a preference.
"""

from __future__ import annotations

from annotator.prompts import fields
from annotator.prompts.fields import FieldProblem, Row
from annotator.prompts.formats.given import Given
from annotator.prompts.formats.turns import Turn, asked, messages, written
from annotator.prompts.records import Record

NAME = "chat"
PREFERRED = ("preferred_output", "non_preferred_output")


def recognises(row: Row) -> bool:
    """Whether it has a list of messages or conversations."""
    if isinstance(row.get("messages"), list) or isinstance(row.get("conversations"), list):
        return True
    return isinstance(row.get("input"), dict) and set(PREFERRED) <= set(row)


def read(line: int, row: Row) -> Record:
    """The row as a record. Raises FieldProblem."""
    turns, known = _turns(row)
    given = Given()
    if PREFERRED[0] in row:
        for name in PREFERRED:
            given.completion(name, written(_as_user(messages(name, row[name]))), "")
        known |= set(PREFERRED)
    elif "chosen" in row and "rejected" in row:
        for name in ("chosen", "rejected"):
            value = row[name] if isinstance(row[name], list) else [row[name]]
            role, content = ("from", "value") if "conversations" in row else ("role", "content")
            given.completion(name, written(_as_user(messages(name, value, role=role, content=content))))
        known |= {"chosen", "rejected"}
    if given.texts:
        given.ranking((1, 2), source=NAME)
        text = written(turns)
    else:
        text, answer = asked(turns)
        if answer.strip():
            given.completion("answer", answer, fields.optional("model", row))
    if not text.strip():
        raise FieldProblem("messages" if "messages" in row else "conversations", "ask nothing.")
    completions, preferences, left_out = given.result()
    return Record(
        line=line,
        text=fields.text("messages", text),
        completions=completions,
        preferences=preferences,
        **fields.about(row),
        ignored=fields.ignored(row, frozenset(known)) + left_out,
    )


def _turns(row: Row) -> tuple[list[Turn], set[str]]:
    """The conversation, and the names of the fields it was made of."""
    known = {"model"}
    if "conversations" in row:
        conversations = row["conversations"]
        # Some files named so have messages of role and content.
        plain = isinstance(conversations, list) and any(
            "role" in m for m in conversations if isinstance(m, dict)
        )
        role, content = ("role", "content") if plain else ("from", "value")
        turns = messages("conversations", conversations, role=role, content=content)
        system = fields.optional("system", row)
        return ([Turn("System", system)] if system.strip() else []) + turns, known | {
            "conversations",
            "system",
        }
    if "messages" in row:
        return messages("messages", row["messages"]), known | {"messages"}
    asked_for = row.get("input")
    if not isinstance(asked_for, dict):
        raise FieldProblem("messages", "are missing.")
    return messages("input.messages", asked_for.get("messages")), known | {"input"}


def _as_user(turns: list[Turn]) -> list[Turn]:
    """A single answer stands alone like a single question."""
    return [Turn("User", turns[0].text)] if len(turns) == 1 else turns
