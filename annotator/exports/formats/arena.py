"""Battles as Chatbot Arena publishes them: two models' texts and who won, a line each pair of a judgment.

Texts of one model say nothing of models, so such pairs are left out. The blind comparisons of evaluations
are in: models are what they compare. They are on held-out tasks alone.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import combinations

from annotator.exports.formats.base import Format, How, Line, Row
from annotator.exports.formats.trl import MESSAGES
from annotator.exports.reading import Judged, Said, Text
from annotator.models import Comparison, Verdict


def lines(comparisons: Iterator[Judged], how: How) -> Iterable[Line]:
    for judged in comparisons:
        for said in _votes(judged):
            texts = [judged.texts[pk] for pk in said.order if pk in judged.texts]
            for one, other in combinations(texts, 2):  # as they were shown, the first is model_a
                if how.model(one) != how.model(other):
                    yield Line(_row(judged, said, one, other, how), (said,), (one, other))


def _votes(judged: Judged) -> list[Said]:
    if judged.rule != Comparison.Rule.EVALUATION:
        return judged.votes
    return [
        said
        for said in judged.said
        if judged.is_live(said) and said.verdict in (Verdict.RANKED, Verdict.ALL_BAD)
    ]


def _row(judged: Judged, said: Said, one: Text, other: Text, how: How) -> Row:
    task = judged.task
    return {
        "question_id": f"{said.pk}-{one.pk}-{other.pk}",
        "model_a": how.model(one),
        "model_b": how.model(other),
        "winner": _winner(said, one, other),
        "judge": how.name(said.annotator),
        "conversation_a": _conversation(task.text, one.text),
        "conversation_b": _conversation(task.text, other.text),
        "turn": 1,
        "anony": True,
        "language": task.language,
        "tstamp": said.created_at.timestamp(),
        "group": f"ranking-{said.pk}",
        "ranking": said.pk,
        "comparison": judged.pk,
        "rule": judged.rule,
        "prompt_id": task.pk,
        "completion_a": one.pk,
        "completion_b": other.pk,
        "checkpoint_a": one.checkpoint,
        "checkpoint_b": other.checkpoint,
        "iteration": judged.iteration,
        "domain": task.domain,
        "held_out": task.is_held_out,
        "simulated": said.is_simulated,
    }


def _winner(said: Said, one: Text, other: Text) -> str:
    if said.verdict == Verdict.ALL_BAD:
        return "tie (bothbad)"
    first, second = said.ranks[str(one.pk)], said.ranks[str(other.pk)]
    return "tie" if first == second else "model_a" if first < second else "model_b"


def _conversation(prompt: str, completion: str) -> list[dict[str, str]]:
    return [{"role": "user", "content": prompt}, {"role": "assistant", "content": completion}]


FORMATS = (
    Format(
        name="arena",
        layer="raw",
        about="A battle of two models as Chatbot Arena has them; `tie (bothbad)` where all were bad.",
        columns={
            "question_id": "string",
            "model_a": "string",
            "model_b": "string",
            "winner": "string",
            "judge": "string",
            "conversation_a": MESSAGES,
            "conversation_b": MESSAGES,
            "turn": "int64",
            "anony": "bool",
            "language": "string",
            "tstamp": "float64",
            "group": "string",
            "ranking": "int64",
            "comparison": "int64",
            "rule": "string",
            "prompt_id": "int64",
            "completion_a": "int64",
            "completion_b": "int64",
            "checkpoint_a": "int64",
            "checkpoint_b": "int64",
            "iteration": "int64",
            "domain": "string",
            "held_out": "bool",
            "simulated": "bool",
        },
        lines=lines,
        file_types=("jsonl", "json", "parquet"),
    ),
)
