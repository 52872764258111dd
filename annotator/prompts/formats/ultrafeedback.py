"""UltraFeedback: an instruction and completions by several models, each with ratings by a model.

The instruction is the task. Completions keep the name of their model; their scores (`overall_score`, else
`fine-grained_score`, else the mean of the ratings) become one preference with ties.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from annotator.prompts import fields
from annotator.prompts.fields import FieldProblem, Row
from annotator.prompts.formats.given import Given, by_score
from annotator.prompts.records import Record

NAME = "ultrafeedback"
KNOWN = frozenset(
    (
        "instruction",
        "completions",
    )
)
SCORES = ("overall_score", "fine-grained_score")
_NUMBER = re.compile(r"-?\d+(\.\d+)?")


def recognises(row: Row) -> bool:
    """Whether it has an instruction and completions that are objects."""
    completions = row.get("completions")
    return (
        "instruction" in row
        and isinstance(completions, list)
        and all(isinstance(c, dict) for c in completions)
    )


def read(line: int, row: Row) -> Record:
    """The row as a record. Raises FieldProblem."""
    text = fields.needed("instruction", row.get("instruction"))
    found = row.get("completions")
    if not isinstance(found, list):
        raise FieldProblem("completions", f"must be a list, not {fields.kind(found)}.")
    given, scores, names = Given(), [], set()
    for place, completion in enumerate(found, start=1):
        where = f"completions[{place}]"
        if not isinstance(completion, dict):
            raise FieldProblem(where, f"must be an object, not {fields.kind(completion)}.")
        given.completion(f"{where}.response", completion.get("response"), str(completion.get("model") or ""))
        name, score = _score(completion)
        scores.append(score)
        names.add(name)
    if sum(score is not None for score in scores) > 1:
        given.ranking(by_score(scores), source=" ".join(sorted(names - {""})))
    completions, preferences, left_out = given.result()
    return Record(
        line=line,
        text=text,
        completions=completions,
        preferences=preferences,
        **fields.about(row),
        ignored=fields.ignored(row, KNOWN) + left_out,
    )


def _score(completion: Mapping[str, Any]) -> tuple[str, float | None]:
    """The name and value of the completion's score."""
    for name in SCORES:
        value = number(completion.get(name))
        if value is not None:
            return name, value
    annotations = completion.get("annotations")
    ratings = []
    for aspect in annotations.values() if isinstance(annotations, dict) else ():
        value = number(aspect.get("Rating") if isinstance(aspect, dict) else aspect)
        if value is not None:
            ratings.append(value)
    return ("mean of ratings", sum(ratings) / len(ratings)) if ratings else ("", None)


def number(value: Any) -> float | None:
    """The number that a value is or says; None for "N/A" and the like."""
    if isinstance(value, bool):
        return None
    if isinstance(value, int | float):
        return float(value) if value == value else None  # not NaN, which has no place in an order
    if isinstance(value, str) and _NUMBER.fullmatch(value.strip()):
        return float(value)
    return None
