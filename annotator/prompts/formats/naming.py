"""Names that people give to the columns of a task and of the answers to it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

PROMPT_NAMES = (
    "prompt", "text", "task", "instruction", "question", "query", "input", "context", "description",
    "提示", "任务", "指令", "问题",
)  # fmt: skip
_ANSWER = re.compile(
    r"(response|reply|completion|answer|generation|generated|output|candidate|chosen|rejected|text|回答|答案)"
    r"[\s_-]*([0-9]{1,3}|[a-h])?",
    re.IGNORECASE,
)


def prompt_name(row: Mapping[str, Any]) -> str:
    """The column that holds the task; empty if none does."""
    by_lower = {str(name).lower(): str(name) for name in row}
    for name in PROMPT_NAMES:
        if name in by_lower and _is_text(row[by_lower[name]]):
            return by_lower[name]
    return ""


def answer_names(row: Mapping[str, Any]) -> list[str]:
    """The columns that hold answers, in the row's order."""
    prompt = prompt_name(row)
    return [
        str(name)
        for name, value in row.items()
        if name != prompt and _ANSWER.fullmatch(str(name)) and _is_text(value)
    ]


def mark(name: str) -> str:
    """What tells an answer's name from others: "2" of "response-2", "b" of "answer_b", else all of it."""
    found = _ANSWER.fullmatch(name)
    return (found.group(2) or name).lower() if found else name.lower()


def _is_text(value: Any) -> bool:
    return isinstance(value, str)
