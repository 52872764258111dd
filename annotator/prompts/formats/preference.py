"""Chosen and rejected: TRL's preferences (prompt given, implied, or as messages) and HH-RLHF's transcripts.

What chosen and rejected have in common is the task where none is given; for plain texts that is their common
beginning, up to the end of a word. Both become completions, and the row a preference between them. TRL's rows
of `prompt` and `completion` as messages are read here too.
"""

from __future__ import annotations

import re
from typing import Any

from annotator.prompts import fields
from annotator.prompts.fields import FieldProblem, Row
from annotator.prompts.formats.given import Given, by_score
from annotator.prompts.formats.turns import Turn, asked, messages, parted, transcript, written
from annotator.prompts.records import Record

NAME = "preference"
KNOWN = frozenset(
    (
        "prompt", "chosen", "rejected", "completion", "strength", "annotator",
        "score_chosen", "score_rejected", "chosen_source", "rejected_source",
    )
)  # fmt: skip
_WORD_END = re.compile(r"[\s。，、：；？！]")


def recognises(row: Row) -> bool:
    """Whether it has chosen and rejected, or a prompt of messages with a completion."""
    if "chosen" in row and "rejected" in row:
        return True
    return isinstance(row.get("prompt"), list) and "completion" in row


def read(line: int, row: Row) -> Record:
    """The row as a record. Raises FieldProblem."""
    given = Given()
    if "chosen" not in row and "rejected" not in row and "completion" in row:
        text, answer = asked([*_turns("prompt", row.get("prompt")), *_turns("completion", row["completion"])])
        given.completion("completion", answer)
    else:
        text, chosen, rejected = _sides(row)
        given.completion("chosen", chosen, fields.optional("chosen_source", row))
        given.completion("rejected", rejected, fields.optional("rejected_source", row))
        given.ranking(
            _ranks(row),
            strength=_strength(row.get("strength")),
            annotator=fields.optional("annotator", row),
            source=fields.optional("source", row) or NAME,
        )
    if not text.strip():
        raise FieldProblem("prompt", "is missing, and chosen and rejected have no beginning in common.")
    completions, preferences, left_out = given.result()
    return Record(
        line=line,
        text=fields.text("prompt", text),
        completions=completions,
        preferences=preferences,
        **fields.about(row),
        ignored=fields.ignored(row, KNOWN) + left_out,
    )


def _sides(row: Row) -> tuple[str, str, str]:
    """Task, chosen and rejected."""
    chosen, rejected = row.get("chosen"), row.get("rejected")
    if isinstance(chosen, list) or isinstance(rejected, list):
        return _spoken(row.get("prompt"), messages("chosen", chosen), messages("rejected", rejected))
    first, second = fields.text("chosen", chosen), fields.text("rejected", rejected)
    prompt = row.get("prompt")
    if isinstance(prompt, list):
        return written(messages("prompt", prompt)), first, second
    if prompt is not None:
        return fields.needed("prompt", prompt), first, second
    said = transcript("chosen", first), transcript("rejected", second)
    if all(said):
        return _spoken(None, *said)
    common = _common(first, second)
    return common.strip(), first[len(common) :].strip(), second[len(common) :].strip()


def _spoken(prompt: Any, chosen: list[Turn], rejected: list[Turn]) -> tuple[str, str, str]:
    common, first, second = parted(chosen, rejected)
    # A prompt that is given beside the whole conversations repeats their beginning.
    if not common and prompt is not None:
        turns = messages("prompt", prompt) if isinstance(prompt, list) else None
        return (written(turns) if turns else fields.text("prompt", prompt)), first, second
    return written(common), first, second


def _turns(name: str, value: Any) -> list[Turn]:
    if isinstance(value, list):
        return messages(name, value)
    return [Turn("Assistant" if name == "completion" else "User", fields.text(name, value))]


def _common(first: str, second: str) -> str:
    """The beginning that both have, up to the end of a word."""
    end = 0
    while end < min(len(first), len(second)) and first[end] == second[end]:
        end += 1
    if end < max(len(first), len(second)):
        ends = [match.end() for match in _WORD_END.finditer(first, 0, end)]
        end = ends[-1] if ends else 0
    return first[:end]


def _ranks(row: Row) -> tuple[int, ...]:
    """Chosen before rejected, unless both have the same score."""
    scores = row.get("score_chosen"), row.get("score_rejected")
    if all(isinstance(score, int | float) and not isinstance(score, bool) for score in scores):
        ranks = by_score([float(score) for score in scores if score is not None])
        return ranks if ranks == (1, 1) else (1, 2)
    return 1, 2


def _strength(value: Any) -> int | None:
    return int(str(value)) if str(value) in ("1", "2", "3") else None
