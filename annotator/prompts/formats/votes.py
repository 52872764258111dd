"""Two answers and who prefers which: PandaLM's three votes a row, Auto-J's label, Chatbot Arena's battles.

PandaLM: `response1/2` with `annotator1…`, 0 for a tie, else the better one's number. Auto-J: `response 1/2`
with `label` 0, 1, or 2 for a tie. Arena: `conversation_a/b`, `model_a/b`, and `winner` by `judge`.
"""

from __future__ import annotations

import re
from typing import Any

from annotator.prompts import fields
from annotator.prompts.fields import FieldProblem, Row
from annotator.prompts.formats.alpaca import prompt_of
from annotator.prompts.formats.given import Given
from annotator.prompts.formats.turns import messages, parted, written
from annotator.prompts.records import Record

NAME = "votes"
_VOTER = re.compile(r"annotator_?\d+")
ONE, OTHER, TIE = (1, 2), (2, 1), (1, 1)
PANDALM = {0: TIE, 1: ONE, 2: OTHER}
AUTO_J = {0: ONE, 1: OTHER, 2: TIE}
ARENA = {
    "model_a": ONE, "model_b": OTHER,
    "tie": TIE, "tie (bothbad)": TIE, "both_bad": TIE,
}  # fmt: skip


def recognises(row: Row) -> bool:
    """Whether it has two answers, and a label, votes or a winner."""
    if {"response1", "response2"} <= set(row):
        return any(_VOTER.fullmatch(str(name)) for name in row)
    if {"response 1", "response 2"} <= set(row):
        return "label" in row
    return {"conversation_a", "conversation_b", "winner"} <= set(row)


def read(line: int, row: Row) -> Record:
    """The row as a record. Raises FieldProblem."""
    given = Given()
    if "conversation_a" in row or "conversation_b" in row:
        text, known = _arena(row, given)
    elif "response1" in row or "response2" in row:
        text, known = _pandalm(row, given)
    else:
        text, known = _auto_j(row, given)
    completions, preferences, left_out = given.result()
    return Record(
        line=line,
        text=fields.text("prompt", text),
        completions=completions,
        preferences=preferences,
        **fields.about(row),
        ignored=fields.ignored(row, frozenset(known)) + left_out,
    )


def _pandalm(row: Row, given: Given) -> tuple[str, set[str]]:
    text = prompt_of(fields.optional("instruction", row), fields.optional("input", row)).strip()
    fields.needed("instruction", text)
    models = str(row.get("cmp_key") or "").split("_")
    for place in (1, 2):
        source = models[place - 1] if len(models) == 2 else ""
        given.completion(f"response{place}", row.get(f"response{place}"), source)
    voters = [str(name) for name in row if _VOTER.fullmatch(str(name))]
    for name in voters:
        given.ranking(_choice(name, row[name], PANDALM), annotator=name, source="votes")
    known = {"instruction", "input", "response1", "response2", "cmp_key", *voters}
    return text, known


def _auto_j(row: Row, given: Given) -> tuple[str, set[str]]:
    text = fields.needed("prompt", row.get("prompt"))
    for place in (1, 2):
        given.completion(f"response {place}", row.get(f"response {place}"))
    given.ranking(_choice("label", row.get("label"), AUTO_J), source="label")
    return text, {"prompt", "response 1", "response 2", "label"}


def _arena(row: Row, given: Given) -> tuple[str, set[str]]:
    sides = [messages(name, row.get(name)) for name in ("conversation_a", "conversation_b")]
    common, *answers = parted(*sides)
    if not common:
        raise FieldProblem("conversation_b", "begins with another question than conversation_a.")
    for side, answer in zip("ab", answers, strict=True):
        given.completion(f"conversation_{side}", answer, fields.optional(f"model_{side}", row))
    winner = _choice("winner", row.get("winner"), ARENA)
    given.ranking(winner, annotator=fields.optional("judge", row), source="arena")
    known = {"conversation_a", "conversation_b", "model_a", "model_b", "winner", "judge"}
    return written(common), known


def _choice(name: str, value: Any, meanings: dict[Any, tuple[int, int]]) -> tuple[int, int]:
    """What a vote means. A CSV brings numbers as texts."""
    if isinstance(value, str) and value.strip().isdigit():
        value = int(value)
    if isinstance(value, str | int) and not isinstance(value, bool) and value in meanings:
        return meanings[value]
    raise FieldProblem(name, f"“{str(value)[:40]}” is none of {', '.join(map(str, meanings))}.")
