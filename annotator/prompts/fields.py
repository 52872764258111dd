"""Single fields of a row, checked: texts, examples, domains, languages. What is wrong is a FieldProblem."""

from __future__ import annotations

import re
from collections.abc import Collection
from contextlib import suppress
from typing import Any, TypedDict

from annotator.models import Domain

MAX_TEXT = 20_000
"""Characters of one text."""
MAX_EXAMPLES = 200

_LANGUAGE = re.compile(r"[a-z]{2,3}(-[a-z0-9]{2,8})*")
_CHINESE = {"zh", "zh-cn", "zh-sg", "zh-hans-cn", "chinese", "simplified chinese", "中文", "简体中文"}
_NAMED = {"english": "en", "英文": "en", "英语": "en"}

Row = dict[str, Any]
Examples = tuple[dict[str, str], ...]


class FieldProblem(ValueError):
    """What is wrong with a row, and with which of its fields ("" for the row as a whole)."""

    def __init__(self, field: str, message: str) -> None:
        self.field, self.message = field, message
        super().__init__(f"{field}: {message}" if field else message)


def text(name: str, value: Any) -> str:
    """The value, if it is a text of no more than MAX_TEXT characters."""
    if not isinstance(value, str):
        raise FieldProblem(name, f"must be a text, not {kind(value)}.")
    given: str = value.strip() if len(value) > MAX_TEXT else value
    if len(given) > MAX_TEXT:
        raise FieldProblem(name, f"has {len(given)} characters; {MAX_TEXT} are the most.")
    return given


def needed(name: str, value: Any) -> str:
    """A text that is not blank."""
    given = text(name, value)
    if not given.strip():
        raise FieldProblem(name, "is empty.")
    return given


def optional(name: str, row: Row) -> str:
    """The row's text of that name; empty where there is none."""
    value = row.get(name)
    return "" if value is None else text(name, value)


def written(name: str, value: Any) -> str:
    """A text, or a number or truth value as one would write it: for answers, which may be 4 or true."""
    if isinstance(value, bool):
        return "True" if value else "False"
    if isinstance(value, int | float):
        return str(value)
    return text(name, value)


def only_one(row: Row, names: tuple[str, ...]) -> str:
    """The one of the names that the row has; the first if it has none."""
    given = [name for name in names if name in row]
    if len(given) > 1:
        raise FieldProblem(given[1], f"is given beside “{given[0]}”; one of them is enough.")
    return given[0] if given else names[0]


def examples(name: str, value: Any) -> Examples:
    """A list of objects with `input` and `output`, no more than MAX_EXAMPLES of them."""
    if value is None:
        return ()
    if not isinstance(value, list):
        raise FieldProblem(name, f"must be a list, not {kind(value)}.")
    if len(value) > MAX_EXAMPLES:
        raise FieldProblem(name, f"has {len(value)} examples; {MAX_EXAMPLES} are the most.")
    found = []
    for place, example in enumerate(value, start=1):
        where = f"{name}[{place}]"
        if not isinstance(example, dict) or set(example) != {"input", "output"}:
            raise FieldProblem(where, "must be an object with “input” and “output”.")
        found.append(
            {
                "input": text(f"{where}.input", example["input"]),
                "output": needed(f"{where}.output", example["output"]),
            }
        )
    return tuple(found)


def domain(row: Row) -> str:
    """One of Domain's values, however it is written, or empty."""
    value = optional("domain", row).strip()
    found = re.sub(r"[\s_]+", "-", value.lower())
    if found and found not in Domain.values:
        raise FieldProblem("domain", f"“{value[:40]}” is not one of {', '.join(Domain.values)}.")
    return found


def language(row: Row) -> str:
    """A language code in lower case, zh-hans for all that means it, or empty."""
    value = optional("language", row).strip()
    found = value.lower().replace("_", "-")
    if found in _CHINESE:
        return "zh-hans"
    found = _NAMED.get(found, found)
    if found and (len(found) > 16 or not _LANGUAGE.fullmatch(found)):
        raise FieldProblem("language", f"“{value[:40]}” is not a language code such as en or zh-hans.")
    return found


class About(TypedDict):
    """What may be said of a task in any family of rows."""

    domain: str
    language: str
    source: str


ABOUT = frozenset(About.__annotations__)


def about(row: Row) -> About:
    """Domain, language and source of a row that others made: what we do not know is left out, not refused."""
    found = About(domain="", language="", source="")
    with suppress(FieldProblem):
        found["domain"] = domain(row)
    with suppress(FieldProblem):
        found["language"] = language(row)
    source = row.get("source")
    if isinstance(source, str | int):
        found["source"] = str(source)[:200]
    return found


def ignored(row: Row, known: Collection[str]) -> tuple[str, ...]:
    """The names of the fields that nothing becomes of."""
    others = [name for name in row if name not in known]
    if not ABOUT.isdisjoint(others):
        used = {name for name, value in about(row).items() if value or not row.get(name)}
        others = [name for name in others if name not in used]
    return tuple(str(name)[:40] for name in others)


def kind(value: Any) -> str:
    """What a value is, in words."""
    names = {bool: "true or false", int: "a number", float: "a number", list: "a list", dict: "an object"}
    return "null" if value is None else names.get(type(value), type(value).__name__)
