"""Argilla's exports: records of fields and responses, of 2.x (nested or flattened) and 1.x (feedback).

The field named like a task is the task, those named like answers the completions. Submitted responses become
preferences by the user: a ranking (1.x with ties, 2.x in order), a choice of one answer by its name, or a
rating for each answer (questions named like the answers, such as `rating-1` for `response-1`).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, NamedTuple

from annotator.prompts import fields
from annotator.prompts.fields import FieldProblem, Row
from annotator.prompts.formats.given import Given, by_score, dense
from annotator.prompts.formats.naming import answer_names, mark, prompt_name
from annotator.prompts.formats.ultrafeedback import number
from annotator.prompts.records import Record

NAME = "argilla"
KNOWN = frozenset(("fields", "responses"))
_LAST = re.compile(r"([0-9]{1,3}|[a-z])$", re.IGNORECASE)


class Answer(NamedTuple):
    """What one user answered to one question."""

    question: str
    user: str
    value: Any


def recognises(row: Row) -> bool:
    """Whether it has fields and responses, or the questions of a flattened record."""
    if isinstance(row.get("fields"), dict | str) and "responses" in row:
        return True
    return any(_is_flat(name, value) for name, value in row.items())


def read(line: int, row: Row) -> Record:
    """The row as a record. Raises FieldProblem."""
    shown = row["fields"] if isinstance(row.get("fields"), dict) else row
    prompt = prompt_name(shown)
    if not prompt:
        raise FieldProblem("fields", "have none that is named like a task (prompt, text, instruction, …).")
    given = Given()
    names = answer_names(shown)
    for name in names:
        given.completion(f"fields.{name}", shown[name])
    by_user: dict[str, list[Answer]] = {}
    for answer in _answers(row):
        by_user.setdefault(answer.user, []).append(answer)
    for user, answers in by_user.items():
        for source, ranks in _preferences(names, answers):
            given.ranking(ranks, annotator=user, source=source)
    completions, preferences, left_out = given.result()
    metadata = row.get("metadata")
    if not isinstance(metadata, dict):
        metadata = {}
    known = KNOWN | ({"metadata"} if metadata else set()) | {prompt, *names}
    known |= {name for name in row if ".responses" in name or _is_flat(name, row[name])}
    return Record(
        line=line,
        text=fields.needed(f"fields.{prompt}", shown[prompt]),
        completions=completions,
        preferences=preferences,
        **fields.about({**metadata, **row}),
        ignored=fields.ignored(row, known) + left_out,
    )


def _answers(row: Row) -> Iterator[Answer]:
    """The submitted answers, wherever the version writes them."""
    responses = row.get("responses")
    if isinstance(responses, list):  # 1.x: by user, then by question
        for response in responses:
            values = response.get("values") if _is_submitted(response) else None
            for question, answer in values.items() if isinstance(values, dict) else ():
                value = answer.get("value") if isinstance(answer, dict) else answer
                yield Answer(question, _user(response), value)
    elif isinstance(responses, dict):  # 2.x: by question, then by user
        for question, answers in responses.items():
            for answer in answers if isinstance(answers, list) else ():
                if _is_submitted(answer):
                    yield Answer(question, _user(answer), answer.get("value"))
    for name, value in row.items():
        if name.endswith(".responses") and isinstance(value, list):  # 2.x, flattened
            users, states = row.get(f"{name}.users"), row.get(f"{name}.status")
            for place, answer in enumerate(value):
                if _at(states, place, "submitted") == "submitted":
                    question = name.removesuffix(".responses")
                    yield Answer(question, str(_at(users, place, "")), answer)
        elif _is_flat(name, value):  # 1.x, as a dataset
            for answer in value if isinstance(value, list) else ():
                if _is_submitted(answer):
                    yield Answer(name, _user(answer), answer.get("value"))


def _preferences(names: list[str], answers: list[Answer]) -> Iterator[tuple[str, tuple[int, ...]]]:
    """What one user's answers say about the completions: the question, and ranks."""
    ratings: dict[int, float] = {}
    rated = ""
    for answer in answers:
        if isinstance(answer.value, list):
            ranks = _ranking(names, answer.value)
            if any(ranks):
                yield answer.question, ranks
        elif isinstance(answer.value, str) and _place(names, answer.value) is not None:
            place = _place(names, answer.value)
            yield answer.question, tuple(1 if n == place else 2 for n in range(len(names)))
        else:
            score, place = number(answer.value), _place(names, answer.question)
            if score is not None and place is not None:
                ratings[place], rated = score, rated or answer.question
    if len(ratings) > 1:
        yield rated, by_score([ratings.get(place) for place in range(len(names))])


def _ranking(names: list[str], value: list[Any]) -> tuple[int, ...]:
    ranks = [0] * len(names)
    for order, item in enumerate(value, start=1):
        name, rank = (item.get("value"), item.get("rank")) if isinstance(item, dict) else (item, order)
        place = _place(names, str(name))
        if place is not None and isinstance(rank, int) and rank > 0:
            ranks[place] = rank
    return dense(ranks)


def _place(names: list[str], option: str) -> int | None:
    """Which answer an option or a question is about: by its name, or by the number or letter at its end."""
    lower = [name.lower() for name in names]
    if option.lower() in lower:
        return lower.index(option.lower())
    last = _LAST.search(option)
    marks = [mark(name) for name in names]
    if last and marks.count(last.group(1).lower()) == 1:
        return marks.index(last.group(1).lower())
    return None


def _is_flat(name: str, value: Any) -> bool:
    """Whether it is a question of a flattened record with its answers."""
    if str(name).endswith(".responses.users"):
        return True
    return (
        isinstance(value, list)
        and bool(value)
        and all(
            isinstance(answer, dict) and {"user_id", "value", "status"} <= set(answer) for answer in value
        )
    )


def _is_submitted(response: Any) -> bool:
    return isinstance(response, dict) and (response.get("status") or "submitted") == "submitted"


def _user(response: Row) -> str:
    user = response.get("user_id")
    return "" if user is None else str(user)


def _at(values: Any, place: int, default: Any) -> Any:
    found = values[place] if isinstance(values, list) and place < len(values) else None
    return default if found is None else found
