"""Reading of task files. The format is recognised by content; nothing is guessed beyond what is said here.

Pairs, `text<TAB>label`: each line is an instruction (`text`) and the task it was written for (`label`).
A first line of column names (`text`, `instruction`; `label`, `task`, `prompt`) is optional and, where it
names them the other way round, decides their order. There is no quoting: a line has exactly one tab.

JSON Lines: each line is an object with the task as `text`, `task` or `prompt`, optionally with
`domain`, `language`, `examples`, `held_out_examples` ([{"input": …, "output": …}]), `reference`, and
with an `instruction` or `completion` written for it. Other fields are left out and counted.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from annotator.models import Domain
from annotator.prompts.cleaning import clean_text

MAX_LINES = 100_000
MAX_TEXT = 20_000
MAX_EXAMPLES = 200

TASK_FIELDS = ("text", "task", "prompt")
INSTRUCTION_FIELDS = ("instruction", "completion")
OTHER_FIELDS = ("domain", "language", "examples", "held_out_examples", "reference")
HEADER_INSTRUCTION = {"text", "instruction", "completion"}
HEADER_TASK = {"label", "task", "prompt"}
_LANGUAGE = re.compile(r"[a-z]{2,3}(-[a-z0-9]{2,8})*")
_CHINESE = {"zh", "zh-cn", "zh-sg", "zh-hans-cn"}
_HAN = re.compile(r"[\u3400-\u9fff]")


class ImportProblem(ValueError):
    """What is wrong with a file, and where: line 0 means the file as a whole."""

    def __init__(self, line: int, field: str, message: str) -> None:
        self.line, self.field, self.message = line, field, message
        place = f"Line {line}" + (f", {field}" if field else "") if line else "The file"
        super().__init__(f"{place}: {message}")


@dataclass(frozen=True)
class TaskRow:
    """One cleaned line: a task, and the instruction that came with it, if any."""

    line: int
    text: str
    instruction: str = ""
    examples: tuple[dict[str, str], ...] = ()
    held_out_examples: tuple[dict[str, str], ...] = ()
    reference: str = ""
    domain: str = ""
    language: str = ""
    ignored: tuple[str, ...] = field(default=())


def decode(content: bytes) -> str:
    """The file's text. Raises ImportProblem unless it is UTF-8, with or without a byte order mark."""
    if content.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise ImportProblem(0, "", "it is UTF-16. Save it as UTF-8 and import it again.")
    if content.startswith((b"PK\x03\x04", b"\x1f\x8b")):
        raise ImportProblem(0, "", "it is compressed. Unpack it and import the text file in it.")
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        message = (
            f"byte 0x{content[error.start]:02x} is not UTF-8. Save the file as UTF-8 and import it again."
        )
        raise ImportProblem(line, "", message) from None
    if not text.strip():
        raise ImportProblem(0, "", "it is empty.")
    return text


def split_lines(text: str) -> list[tuple[int, str]]:
    """The lines that are not blank, with their numbers."""
    # Not splitlines(): inside JSON and texts, U+2028 and the like end no line.
    lines = [(n, line.rstrip("\r")) for n, line in enumerate(text.split("\n"), start=1) if line.strip()]
    if len(lines) > MAX_LINES:
        raise ImportProblem(0, "", f"it has {len(lines)} lines; {MAX_LINES} are the most in one file.")
    return lines


def recognise(lines: list[tuple[int, str]]) -> str:
    """`jsonl` or `tsv`, by the first line. Raises ImportProblem for anything else."""
    number, first = lines[0]
    if first.lstrip().startswith("{"):
        return "jsonl"
    if first.lstrip().startswith("["):
        raise ImportProblem(number, "", "it is a JSON array. Write one JSON object in each line.")
    if "\t" in first:
        return "tsv"
    raise ImportProblem(
        number, "", "neither a JSON object nor an instruction and a task with a tab between them."
    )


def read_rows(lines: list[tuple[int, str]], kind: str) -> Iterator[TaskRow]:
    """The rows of a file of that kind, cleaned. Raises ImportProblem at the first bad one."""
    if kind == "jsonl":
        for number, line in lines:
            yield _from_json(number, line)
        return
    header = [name.strip().lower() for name in lines[0][1].split("\t")]
    has_header = (
        len(header) == 2 and set(header) <= HEADER_INSTRUCTION | HEADER_TASK and len(set(header)) == 2
    )
    task_first = has_header and header[0] in HEADER_TASK
    if has_header and (header[0] in HEADER_TASK) == (header[1] in HEADER_TASK):
        raise ImportProblem(
            lines[0][0], "", "the column names must be one for instructions and one for tasks."
        )
    for number, line in lines[1:] if has_header else lines:
        yield _from_tabs(number, line, task_first)


def guess_language(text: str, default: str) -> str:
    """Chinese where a fifth of the characters is Han; else the default, or English if that is Chinese."""
    if len(_HAN.findall(text)) >= 0.2 * max(1, len(text)):
        return "zh-hans"
    return "en" if default == "zh-hans" else default


def _from_tabs(number: int, line: str, task_first: bool) -> TaskRow:
    columns = line.split("\t")
    if len(columns) != 2:
        raise ImportProblem(
            number, "", f"{len(columns)} columns instead of two: an instruction, a tab, a task."
        )
    if task_first:
        columns.reverse()
    instruction = _text(number, "text", columns[0])
    task = _text(number, "label", columns[1])
    if not instruction:
        raise ImportProblem(number, "text", "is empty.")
    if not task:
        raise ImportProblem(number, "label", "is empty.")
    return TaskRow(line=number, text=task, instruction=instruction)


def _from_json(number: int, line: str) -> TaskRow:
    row = parse(number, line)
    task_field = _only_one(number, row, TASK_FIELDS)
    instruction_field = _only_one(number, row, INSTRUCTION_FIELDS)
    text = _text(number, task_field, row.get(task_field, ""))
    examples = _examples(number, row, "examples")
    if not text and not examples:
        raise ImportProblem(number, task_field, "is empty, and there are no examples.")
    instruction = _text(number, instruction_field, row.get(instruction_field, ""))
    if instruction_field in row and not instruction:
        raise ImportProblem(number, instruction_field, "is empty.")
    known = {*TASK_FIELDS, *INSTRUCTION_FIELDS, *OTHER_FIELDS}
    return TaskRow(
        line=number,
        text=text,
        instruction=instruction,
        examples=examples,
        held_out_examples=_examples(number, row, "held_out_examples"),
        reference=_text(number, "reference", row.get("reference") or ""),
        domain=_domain(number, row),
        language=_language(number, row),
        ignored=tuple(str(name)[:40] for name in row if name not in known),
    )


def parse(number: int, line: str) -> dict[str, Any]:
    """The line as a JSON object. Raises ImportProblem."""
    try:
        row = json.loads(line)
    except json.JSONDecodeError as error:
        raise ImportProblem(number, "", f"not JSON: {error.msg} at character {error.pos + 1}.") from None
    except (RecursionError, ValueError) as error:
        raise ImportProblem(number, "", f"not JSON that can be read: {error}.") from None
    if not isinstance(row, dict):
        raise ImportProblem(number, "", "not a JSON object.")
    return row


def _only_one(number: int, row: dict[str, Any], names: tuple[str, ...]) -> str:
    given = [name for name in names if name in row]
    if len(given) > 1:
        raise ImportProblem(number, given[1], f"is given beside “{given[0]}”; one of them is enough.")
    return given[0] if given else names[0]


def _text(number: int, name: str, value: Any) -> str:
    if not isinstance(value, str):
        raise ImportProblem(number, name, f"must be a text, not {_kind(value)}.")
    if len(value) > 2 * MAX_TEXT:  # before the cleaning, which takes time
        raise ImportProblem(number, name, f"has {len(value)} characters; {MAX_TEXT} are the most.")
    text = clean_text(value)
    if len(text) > MAX_TEXT:
        raise ImportProblem(number, name, f"has {len(text)} characters; {MAX_TEXT} are the most.")
    return text


def _examples(number: int, row: dict[str, Any], name: str) -> tuple[dict[str, str], ...]:
    value = row.get(name)
    if value is None:
        return ()
    if not isinstance(value, list):
        raise ImportProblem(number, name, f"must be a list, not {_kind(value)}.")
    if len(value) > MAX_EXAMPLES:
        raise ImportProblem(number, name, f"has {len(value)} examples; {MAX_EXAMPLES} are the most.")
    examples = []
    for place, example in enumerate(value, start=1):
        where = f"{name}[{place}]"
        if not isinstance(example, dict) or set(example) != {"input", "output"}:
            raise ImportProblem(number, where, "must be an object with “input” and “output”.")
        cleaned = {key: _text(number, f"{where}.{key}", example[key]) for key in ("input", "output")}
        if not cleaned["output"]:
            raise ImportProblem(number, f"{where}.output", "is empty.")
        examples.append(cleaned)
    return tuple(examples)


def _domain(number: int, row: dict[str, Any]) -> str:
    value = _text(number, "domain", row.get("domain") or "")
    domain = re.sub(r"[\s_]+", "-", value.lower())
    if domain and domain not in Domain.values:
        raise ImportProblem(number, "domain", f"“{value[:40]}” is not one of {', '.join(Domain.values)}.")
    return domain


def _language(number: int, row: dict[str, Any]) -> str:
    value = _text(number, "language", row.get("language") or "")
    language = value.lower().replace("_", "-")
    if language in _CHINESE:
        return "zh-hans"
    if language and (len(language) > 16 or not _LANGUAGE.fullmatch(language)):
        raise ImportProblem(
            number, "language", f"“{value[:40]}” is not a language code such as en or zh-hans."
        )
    return language


def _kind(value: Any) -> str:
    names = {bool: "true or false", int: "a number", float: "a number", list: "a list", dict: "an object"}
    return "null" if value is None else names.get(type(value), type(value).__name__)
