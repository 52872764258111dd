"""Conversations: messages of a role and a content, as OpenAI, ShareGPT and TRL write them, or one transcript.

What comes before the last answer is the task; the last answer is the completion.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from annotator.prompts import fields
from annotator.prompts.fields import FieldProblem

MAX_TURNS = 200
ROLES = {
    "system": "System", "developer": "System",
    "user": "User", "human": "User", "prompter": "User",
    "assistant": "Assistant", "gpt": "Assistant", "chatgpt": "Assistant", "model": "Assistant",
    "bot": "Assistant", "bing": "Assistant", "bard": "Assistant", "function_call": "Assistant",
    "tool": "Tool", "function": "Tool", "observation": "Tool", "ipython": "Tool",
}  # fmt: skip
_SPOKEN = re.compile(r"(?:\A\s*|\n\n[ \t]*)(Human|Assistant|User|System): ?")


@dataclass(frozen=True)
class Turn:
    """One message; `role` is User, Assistant, System or Tool."""

    role: str
    text: str


def messages(name: str, value: Any, *, role: str = "role", content: str = "content") -> list[Turn]:
    """A list of messages as turns. Raises FieldProblem, naming the message."""
    if not isinstance(value, list):
        raise FieldProblem(name, f"must be a list of messages, not {fields.kind(value)}.")
    if len(value) > MAX_TURNS:
        raise FieldProblem(name, f"has {len(value)} messages; {MAX_TURNS} are the most.")
    turns = []
    for place, message in enumerate(value, start=1):
        where = f"{name}[{place}]"
        if not isinstance(message, dict):
            raise FieldProblem(where, f"must be a message, not {fields.kind(message)}.")
        said = str(message.get(role, ""))[:40]
        if said.lower() not in ROLES:
            raise FieldProblem(f"{where}.{role}", f"“{said}” is no role that is known.")
        turns.append(Turn(ROLES[said.lower()], _content(f"{where}.{content}", message.get(content))))
    return turns


def transcript(name: str, value: Any) -> list[Turn]:
    """The turns of a text such as "Human: … Assistant: …", as HH-RLHF has them; empty if it is none."""
    parts = _SPOKEN.split(fields.text(name, value))
    if len(parts) < 3 or parts[0].strip():
        return []
    spoken = zip(parts[1::2], parts[2::2], strict=True)
    return [Turn(ROLES[role.lower()], said.strip()) for role, said in spoken]


def asked(turns: Sequence[Turn]) -> tuple[str, str]:
    """The task, and the last answer if the conversation ends with one."""
    last = len(turns) - 1
    while last >= 0 and turns[last].role == "Tool":
        last -= 1
    if last >= 0 and turns[last].role == "Assistant":
        return written(turns[:last]), turns[last].text
    return written(turns), ""


def parted(first: Sequence[Turn], second: Sequence[Turn]) -> tuple[list[Turn], str, str]:
    """What two conversations have in common, up to where a question was last asked, and how each goes on."""
    common = 0
    while common < min(len(first), len(second)) and first[common] == second[common]:
        common += 1
    while common and first[common - 1].role == "Assistant":
        common -= 1
    return list(first[:common]), _answer(first[common:]), _answer(second[common:])


def written(turns: Sequence[Turn]) -> str:
    """The turns as one text; a single question stands alone, without a name before it."""
    turns = [turn for turn in turns if turn.text.strip()]
    if len(turns) == 1 and turns[0].role == "User":
        return turns[0].text
    return "\n\n".join(f"{turn.role}: {turn.text}" for turn in turns)


def _answer(turns: Sequence[Turn]) -> str:
    return turns[0].text if len(turns) == 1 else written(turns)


def _content(name: str, value: Any) -> str:
    if value is None:  # of a message that only calls a tool
        return ""
    if not isinstance(value, list):
        return fields.text(name, value)
    parts = []
    for place, part in enumerate(value, start=1):
        if isinstance(part, dict) and part.get("type", "text") == "text":
            parts.append(fields.text(f"{name}[{place}].text", part.get("text")))
        else:
            raise FieldProblem(f"{name}[{place}]", "is no text.")
    return "\n".join(parts)
