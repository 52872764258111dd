"""Argilla's records: a comparison with everybody's ranking of it, and the settings of a data set for them."""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

from annotator.exports.formats.base import Format, How, Line, Row
from annotator.exports.reading import Judged, Said
from annotator.models import Verdict

if TYPE_CHECKING:
    from annotator.exports.manifest import Manifest

MOST = 9
"""Completions in a comparison."""


def lines(comparisons: Iterator[Judged], how: How) -> Iterable[Line]:
    for judged in comparisons:
        shown = sorted({pk for vote in judged.votes for pk in vote.order if pk in judged.texts})
        votes = [vote for vote in judged.votes if vote.verdict == Verdict.RANKED or vote.improved_text]
        if votes and len(shown) > 1:
            yield Line(_record(judged, shown, votes, how), votes, [judged.texts[pk] for pk in shown])


def _record(judged: Judged, shown: list[int], votes: list[Said], how: How) -> Row:
    task, texts = judged.task, judged.texts
    names = {pk: f"completion-{place}" for place, pk in enumerate(shown, start=1)}
    return {
        "id": f"comparison-{judged.pk}",
        "fields": {"prompt": task.text} | {name: texts[pk].text for pk, name in names.items()},
        "metadata": {
            "prompt_id": task.pk,
            "comparison": judged.pk,
            "completion_ids": [str(pk) for pk in shown],
            "models": [how.model(texts[pk]) for pk in shown],
            "checkpoints": [str(texts[pk].checkpoint or "") for pk in shown],
            "rankings": [str(vote.pk) for vote in votes],
            "annotators": [how.name(vote.annotator) for vote in votes],
            "iteration": judged.iteration,
            "domain": task.domain,
            "language": task.language,
            "held_out": str(task.is_held_out).lower(),
            "simulated": str(all(vote.is_simulated for vote in votes)).lower(),
        },
        "suggestions": {},
        "responses": {
            "ranking": [
                _response(vote, _ranking(vote, names), how)
                for vote in votes
                if vote.verdict == Verdict.RANKED
            ],
            "rationale": [_response(vote, vote.rationale, how) for vote in votes if vote.rationale],
            "improved_text": [
                _response(vote, vote.improved_text, how) for vote in votes if vote.improved_text
            ],
        },
        "vectors": {},
        "status": "completed",
    }


def _ranking(vote: Said, names: dict[int, str]) -> list[dict[str, Any]]:
    ranked = ({"value": names[pk], "rank": vote.ranks[str(pk)]} for pk in names)
    return sorted(ranked, key=lambda place: (place["rank"], place["value"]))


def _response(vote: Said, value: Any, how: How) -> dict[str, Any]:
    """An answer. Argilla knows people by UUID: this one follows from the pseudonym."""
    return {"value": value, "user_id": str(uuid.uuid5(uuid.NAMESPACE_OID, how.name(vote.annotator)))}


def settings(manifest: Manifest) -> dict[str, Any]:
    """The fields and questions that the records have, as `argilla.Settings.from_json` reads them."""
    names = [f"completion-{place}" for place in range(1, manifest.most_texts + 1)]
    return {
        "guidelines": None,
        "fields": [
            {
                "name": name,
                "title": name,
                # A comparison may have fewer; every record has a prompt and two.
                "required": name in ("prompt", "completion-1", "completion-2"),
                "settings": {"type": "text", "use_markdown": False},
            }
            for name in ("prompt", *names)
        ],
        "questions": [
            {
                "name": "ranking",
                "title": "Which is best?",
                "required": True,
                "settings": {
                    "type": "ranking",
                    "options": [{"value": name, "text": name} for name in names],
                },
            },
            *(
                {
                    "name": name,
                    "title": title,
                    "required": False,
                    "settings": {"type": "text", "use_markdown": False},
                }
                for name, title in (("rationale", "Why?"), ("improved_text", "A better version"))
            ),
        ],
        "vectors": [],
        "metadata": [],
        "allow_extra_metadata": True,
        "distribution": {"strategy": "overlap", "min_submitted": 1},
        "mapping": None,
    }


ANSWER = {"value": "string", "user_id": "string"}
COLUMNS = {
    "id": "string",
    "fields": {"prompt": "string"} | {f"completion-{place}": "string" for place in range(1, MOST + 1)},
    "metadata": {
        "prompt_id": "int64",
        "comparison": "int64",
        "completion_ids": ["string"],
        "models": ["string"],
        "checkpoints": ["string"],
        "rankings": ["string"],
        "annotators": ["string"],
        "iteration": "int64",
        "domain": "string",
        "language": "string",
        "held_out": "string",
        "simulated": "string",
    },
    "suggestions": {},
    "responses": {
        "ranking": [{"value": [{"value": "string", "rank": "int64"}], "user_id": "string"}],
        "rationale": [ANSWER],
        "improved_text": [ANSWER],
    },
    "vectors": {},
    "status": "string",
}

FORMATS = (
    Format(
        name="argilla",
        layer="raw",
        about="A record of Argilla: a task with its instructions, and the annotators' rankings as responses.",
        columns=COLUMNS,
        lines=lines,
        file_types=("json", "jsonl"),
        may_gzip=False,
        tags=("argilla",),
        extra_files=lambda manifest: {"settings.json": settings(manifest)},
    ),
)
