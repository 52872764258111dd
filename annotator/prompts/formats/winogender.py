"""Winogender schemas: sentence templates in which a pronoun means the occupation or the other participant.

A row becomes a task of one example: the sentence with both people named and the pronoun as they, their or
them, and as output whom it means; the description asks for that. Both rows of a pair stay: they differ in
the sentence's ending and the answer.
"""

from __future__ import annotations

import re

from annotator.prompts import fields
from annotator.prompts.fields import FieldProblem, Row
from annotator.prompts.records import Record

NAME = "winogender"
KNOWN = ("occupation(0)", "other-participant(1)", "answer", "sentence")
PRONOUNS = {"$NOM_PRONOUN": "they", "$POSS_PRONOUN": "their", "$ACC_PRONOUN": "them"}


def recognises(row: Row) -> bool:
    """Whether it has the four columns."""
    return set(KNOWN) <= set(row)


def read(line: int, row: Row) -> Record:
    """The row as a record. Raises FieldProblem."""
    occupation, participant, answer, sentence = (
        fields.needed(name, fields.written(name, row.get(name))).strip() for name in KNOWN
    )
    if answer not in ("0", "1"):
        raise FieldProblem("answer", f"“{answer[:40]}” is not 0 (the occupation) or 1 (the participant).")
    sentence = sentence.replace("$OCCUPATION", occupation).replace("$PARTICIPANT", participant)
    for pronoun, written in PRONOUNS.items():
        sentence = sentence.replace(pronoun, written)
    sentence = re.sub(r"\bthey was\b", "they were", sentence)
    return Record(
        line=line,
        text=f"Whom does the pronoun mean: the {occupation} or the {participant}?",
        examples=({"input": sentence, "output": (occupation, participant)[int(answer)]},),
        language="en",
        source=NAME,
        ignored=fields.ignored(row, frozenset(KNOWN)),
    )
