"""Label Studio's exports (JSON, JSON-MIN and CSV) of projects that compare or rank texts.

The datum named like a task is the task. Texts to compare are the others named like answers (Pairwise: left is
the first, right the second), or the items of a list (Ranker: the order of the list, or of the buckets, within
which items tie). Each annotation that was not cancelled is a preference.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from annotator.prompts import fields
from annotator.prompts.fields import FieldProblem, Row
from annotator.prompts.formats.given import Given, dense
from annotator.prompts.formats.headed import taken_apart
from annotator.prompts.formats.naming import answer_names, prompt_name
from annotator.prompts.records import Record

NAME = "label-studio"
SIDES = {"left": (1, 2), "right": (2, 1)}
_TASK = {"data", "annotations", "completions", "annotation_id", "annotator"}


def recognises(row: Row) -> bool:
    """Whether it is a task with data and annotations, or one of JSON-MIN or CSV."""
    if isinstance(row.get("data"), dict) and ("annotations" in row or "completions" in row):
        return True
    return "annotation_id" in row and "lead_time" in row


def read(line: int, row: Row) -> Record:
    """The row as a record. Raises FieldProblem."""
    data = row["data"] if isinstance(row.get("data"), dict) else row
    prompt = prompt_name(data)
    items = _items(data)
    names = [] if items else [name for name in answer_names(data) if name != prompt]
    if not prompt and len(names) != 2:
        raise FieldProblem("data", "have none that is named like a task (prompt, text, question, …).")
    given = Given()
    for name in names:
        given.completion(f"data.{name}", data[name])
    for place, item in enumerate(items, start=1):
        text = item.get("body") or item.get("html") or item.get("text")
        given.completion(f"items[{place}]", text, str(item.get("title") or ""))
    for annotator, result in _results(row):
        ranks = _ranks(result, names, [str(item.get("id")) for item in items])
        if any(ranks):
            given.ranking(ranks, annotator=annotator, source="label-studio")
    completions, preferences, left_out = given.result()
    known = _TASK | set(names) | {prompt}
    return Record(
        line=line,
        text=fields.needed(f"data.{prompt}", data[prompt]) if prompt else _no_task(),
        completions=completions,
        preferences=preferences,
        **fields.about(data),
        ignored=fields.ignored(row, frozenset(known)) + left_out,
    )


def _no_task() -> str:
    raise FieldProblem("data", "have two texts and no task to compare them for.")


def _items(data: Row) -> list[Row]:
    """The list that a Ranker orders: objects with an id and a text."""
    for value in data.values():
        if isinstance(value, list) and value and all(isinstance(i, dict) and "id" in i for i in value):
            return value
    return []


def _results(row: Row) -> Iterator[tuple[str, Any]]:
    """Who annotated, and the value of each result."""
    annotations = row.get("annotations", row.get("completions"))
    for annotation in annotations if isinstance(annotations, list) else ():
        if not isinstance(annotation, dict) or annotation.get("was_cancelled"):
            continue
        results = annotation.get("result")
        for result in results if isinstance(results, list) else ():
            if isinstance(result, dict) and isinstance(result.get("value"), dict):
                yield _who(annotation.get("completed_by")), result["value"]
    if "annotation_id" in row:  # JSON-MIN and CSV: the results are the task's own fields
        for value in map(taken_apart, row.values()):
            if isinstance(value, str) and value in SIDES:
                yield _who(row.get("annotator")), {"selected": value}
            for result in value if isinstance(value, list) else [value]:
                if isinstance(result, dict) and ("selected" in result or "ranker" in result):
                    yield _who(row.get("annotator")), result


def _ranks(value: Row, names: list[str], ids: list[str]) -> tuple[int, ...]:
    """A result as ranks of the texts; zeros if it says nothing about them."""
    if len(names) == 2 and value.get("selected") in SIDES:
        return SIDES[value["selected"]]
    buckets = value.get("ranker", value)
    if not ids or not isinstance(buckets, dict):
        return (0,) * (len(names) or len(ids))
    groups = [
        [str(i) for i in some] for name, some in buckets.items() if isinstance(some, list) and name != "_"
    ]
    ranks = [0] * len(ids)
    if len(groups) == 1:  # one list: its order is the ranking
        groups = [[name] for name in groups[0]]
    for rank, group in enumerate(groups, start=1):
        for name in group:
            if name in ids:
                ranks[ids.index(name)] = rank
    return dense(ranks)


def _who(completed_by: Any) -> str:
    if isinstance(completed_by, dict):
        completed_by = completed_by.get("email") or completed_by.get("username") or completed_by.get("id")
    return "" if completed_by is None else str(completed_by)
