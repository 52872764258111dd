"""Every judgment as it was given, superseded and undone ones too, by pseudonymous annotators."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from annotator.exports.formats.base import Format, How, Line, Row
from annotator.exports.reading import Judged, Said, Text

COMPLETIONS = [
    {
        "id": "int64",
        "text": "string",
        "source": "string",
        "origin": "string",
        "checkpoint": "int64",
        "rank": "int64",
        "flags": ["string"],
        "ratings": [{"scale": "string", "value": "int64"}],
    }
]
COLUMNS = {
    "ranking": "int64",
    "verdict": "string",
    "live": "bool",
    "decision": "bool",
    "supersedes": "int64",
    "superseded_by": "int64",
    "annotator": "string",
    "simulated": "bool",
    "imported": "bool",
    "comparison": "int64",
    "rule": "string",
    "iteration": "int64",
    "prompt_id": "int64",
    "prompt": "string",
    "domain": "string",
    "language": "string",
    "held_out": "bool",
    "completions": COMPLETIONS,
    "strength": "int64",
    "reason": "string",
    "rationale": "string",
    "improved_text": "string",
    "seconds": "float64",
    "guideline_version": "int64",
    "created_at": "time",
}


def lines(comparisons: Iterator[Judged], how: How) -> Iterable[Line]:
    for judged in comparisons:
        for said in judged.said:
            texts = [judged.texts[pk] for pk in said.order if pk in judged.texts]
            yield Line(_row(judged, said, how), (said,), texts)


def _row(judged: Judged, said: Said, how: How) -> Row:
    task = judged.task
    return {
        "ranking": said.pk,
        "verdict": said.verdict,
        "live": judged.is_live(said),
        "decision": said.is_adjudication,
        "supersedes": said.supersedes,
        "superseded_by": judged.superseded_by.get(said.pk),
        "annotator": how.name(said.annotator),
        "simulated": said.is_simulated,
        "imported": said.batch is not None,
        "comparison": judged.pk,
        "rule": judged.rule,
        "iteration": judged.iteration,
        "prompt_id": task.pk,
        "prompt": task.text,
        "domain": task.domain,
        "language": task.language,
        "held_out": task.is_held_out,
        "completions": [_shown(pk, judged.texts.get(pk), said) for pk in said.order],
        "strength": said.strength,
        "reason": said.reason,
        "rationale": said.rationale,
        "improved_text": said.improved_text,
        "seconds": said.seconds,
        "guideline_version": said.guideline_version,
        "created_at": said.created_at.isoformat(),
    }


def _shown(pk: int, text: Text | None, said: Said) -> dict[str, Any]:
    """A completion in its place on the screen. One whose author has withdrawn has no text."""
    key = str(pk)
    ratings = said.ratings.get(key)
    return {
        "id": pk,
        "text": text.text if text else None,
        "source": text.source if text else None,
        "origin": text.origin if text else None,
        "checkpoint": text.checkpoint if text else None,
        "rank": said.ranks.get(key),
        "flags": said.flags.get(key, []),
        "ratings": [{"scale": scale, "value": value} for scale, value in sorted(ratings.items())]
        if ratings
        else [],
    }


FORMATS = (
    Format(
        name="raw",
        layer="raw",
        about="A judgment as it was given; `completions` in the order shown, with rank, flags, ratings.",
        columns=COLUMNS,
        lines=lines,
    ),
)
