"""The families of rows: each module says how its rows are recognised and what becomes of them.

A row has named fields, whatever it came in: a line of JSON, a line of a table, a row of columns. `pairs` is
of lines without names, and stands apart.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

from annotator.prompts.fields import Row
from annotator.prompts.formats import (
    alpaca,
    argilla,
    chat,
    induction,
    label_studio,
    own,
    pairs,
    preference,
    seeds,
    trees,
    ultrafeedback,
    votes,
    winogender,
)
from annotator.prompts.records import Record


@dataclass(frozen=True)
class Family:
    """One form of rows: its short name, whether a row is one, and the row as a record.

    `read` takes the line and the row, and raises fields.FieldProblem.
    """

    name: str
    recognises: Callable[[Row], bool]
    read: Callable[[int, Row], Record]


def families(*, answers: bool) -> tuple[Family, ...]:
    """All families, the more particular ones first."""
    return (
        Family(argilla.NAME, argilla.recognises, argilla.read),
        Family(label_studio.NAME, label_studio.recognises, label_studio.read),
        Family(trees.NAME, trees.recognises, trees.read),
        Family(winogender.NAME, winogender.recognises, winogender.read),
        Family(votes.NAME, votes.recognises, votes.read),
        Family(induction.NAME, induction.recognises, induction.read),
        Family(ultrafeedback.NAME, ultrafeedback.recognises, ultrafeedback.read),
        Family(seeds.NAME, seeds.recognises, partial(seeds.read, answers=answers)),
        Family(chat.NAME, chat.recognises, chat.read),
        Family(alpaca.NAME, alpaca.recognises, partial(alpaca.read, answers=answers)),
        Family(preference.NAME, preference.recognises, preference.read),
        Family(own.NAME, own.recognises, own.read),
    )


PAIRS = Family(pairs.NAME, pairs.recognises, pairs.read)


def knows(names: Sequence[str]) -> bool:
    """Whether a table with columns of these names can be read: whether a row of it belongs to a family."""
    row: Row = dict.fromkeys((name for name in names if name), "")
    structured: Row = {name: [] for name in row}
    return any(family.recognises(row) or family.recognises(structured) for family in families(answers=False))


def recognise(rows: Sequence[Row], *, answers: bool, name: str = "") -> Family | None:
    """The family that most of the rows belong to, or the one of that name; None if there is none."""
    if name:
        return next((family for family in families(answers=answers) if family.name == name), None)
    if not rows:
        return None
    counted = [(sum(map(family.recognises, rows)), family) for family in families(answers=answers)]
    most, family = max(counted, key=lambda pair: pair[0])  # the first of equals
    return family if most else None
