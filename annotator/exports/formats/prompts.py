"""A line a prompt: SFT pairs, UltraFeedback's scored completions, Open-Assistant's message trees."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

from annotator.exports.formats.base import Format, How, Line, Row
from annotator.exports.reading import Judged
from annotator.exports.standings import Standing, Standings, standings

ASPECTS = ("instruction_following", "honesty", "truthfulness", "helpfulness")
ASPECT = {"Rating": "string", "Rationale": "string"}
MOST_EVENTS = 1000
"""A tree names so many rankings; those of a prompt that has more are in `raw`."""


def prompt_lines(form: Callable[[Standings, How], Row]) -> Callable[[Iterator[Judged], How], Iterable[Line]]:
    def lines(comparisons: Iterator[Judged], how: How) -> Iterable[Line]:
        found = standings(comparisons)
        if found is not None and found.texts:
            yield Line(form(found, how), found.votes, [one.text for one in found.texts])

    return lines


def sft(found: Standings, how: How) -> Row:
    best = found.texts[0]
    return {
        "prompt": found.task.text,
        "completion": best.text.text,
        "share": round(best.share, 4),
        "pairs": best.pairs,
        "completion_id": best.text.pk,
        "source": best.text.source,
        "checkpoint": best.text.checkpoint,
        **_about(found, how),
    }


def ultrafeedback(found: Standings, how: How) -> Row:
    rated = all(one.ratings for one in found.texts)
    return {
        "source": found.task.domain,
        "instruction": found.task.text,
        "models": [how.model(one.text) for one in found.texts],
        "completions": [_scored(one, how, rated=rated) for one in found.texts],
        "correct_answers": [],
        "incorrect_answers": [],
        **_about(found, how),
    }


def _scored(one: Standing, how: How, *, rated: bool) -> dict[str, Any]:
    values = [value for given in one.ratings.values() for value in given]
    return {
        "model": how.model(one.text),
        "principle": "",
        "custom_system_prompt": "",
        "response": one.text.text,
        "annotations": {aspect: _aspect(one, aspect) for aspect in ASPECTS},
        "critique": "\n\n".join(one.rationales),
        "fine-grained_score": round(sum(values) / len(values) if rated else 1 + 4 * one.share, 4),
        "overall_score": round(1 + 9 * one.share, 4),
        "completion_id": one.text.pk,
        "checkpoint": one.text.checkpoint,
        "pairs": one.pairs,
    }


def _aspect(one: Standing, aspect: str) -> dict[str, str]:
    given = [
        value
        for scale, values in one.ratings.items()
        if scale.casefold().replace(" ", "_").replace("-", "_") == aspect
        for value in values
    ]
    return {"Rating": f"{sum(given) / len(given):g}" if given else "N/A", "Rationale": ""}


def message_tree(found: Standings, how: How) -> Row:
    task, root = found.task, f"prompt-{found.task.pk}"
    language = task.language.split("-")[0]
    replies = [
        _message(
            _message_id(one),
            one.text.text,
            "assistant",
            language,
            parent_id=root,
            user_id=how.name(one.author) if one.author is not None else None,
            review_count=len(one.votes),
            rank=rank,
            synthetic=one.text.source == "model",
            model_name=how.model(one.text) if one.text.source == "model" else None,
            labels={"quality": {"value": round(one.share, 4), "count": one.pairs}},
        )
        for rank, one in enumerate(found.texts)
    ]
    shown = {one.text.pk: _message_id(one) for one in found.texts}
    events = [_event(vote, shown, root, how) for vote in found.votes[:MOST_EVENTS] if vote.ranks]
    prompt = _message(root, task.text, "prompter", language, events={"ranking": events})
    return {
        "message_tree_id": root,
        "tree_state": "ready_for_export",
        "prompt": prompt | {"replies": replies},
        "origin": task.domain,
    }


def _message_id(one: Standing) -> str:
    return f"completion-{one.text.pk}" if one.text.pk is not None else f"ranking-{one.votes[0].pk}-edited"


def _message(message_id: str, text: str, role: str, language: str, **given: Any) -> dict[str, Any]:
    return {
        "message_id": message_id,
        "parent_id": None,
        "user_id": None,
        "text": text,
        "role": role,
        "lang": language,
        "review_count": None,
        "review_result": True,
        "deleted": False,
        "rank": None,
        "synthetic": False,
        "model_name": None,
        "emojis": None,
        "labels": None,
        "events": None,
        "tree_state": None,
        "replies": [],
    } | given


def _event(vote: Any, shown: dict[int | None, str], root: str, how: How) -> dict[str, Any]:
    """A judgment, as their trees keep it: places in the list of messages, the best first."""
    keys = [pk for pk in vote.order if pk in shown]
    return {
        "type": "ranking",
        "user_id": how.name(vote.annotator),
        "ranking": sorted(range(len(keys)), key=lambda place: vote.ranks[str(keys[place])]),
        "ranked_message_ids": [shown[pk] for pk in keys],
        "ranking_parent_id": root,
        "message_tree_id": root,
        "not_rankable": False,
    }


def _about(found: Standings, how: How) -> Row:
    task, votes = found.task, found.votes
    return {
        "prompt_id": task.pk,
        "rankings": [vote.pk for vote in votes],
        "annotators": sorted({how.name(vote.annotator) for vote in votes}),
        "iteration": max(vote.iteration for vote in votes),
        "domain": task.domain,
        "language": task.language,
        "held_out": task.is_held_out,
        "simulated": all(vote.is_simulated for vote in votes),
    }


ABOUT = {
    "prompt_id": "int64",
    "rankings": ["int64"],
    "annotators": ["string"],
    "iteration": "int64",
    "domain": "string",
    "language": "string",
    "held_out": "bool",
    "simulated": "bool",
}
SCORED = {
    "model": "string",
    "principle": "string",
    "custom_system_prompt": "string",
    "response": "string",
    "annotations": dict.fromkeys(ASPECTS, ASPECT),
    "critique": "string",
    "fine-grained_score": "float64",
    "overall_score": "float64",
    "completion_id": "int64",
    "checkpoint": "int64",
    "pairs": "int64",
}
EVENT = {
    "type": "string",
    "user_id": "string",
    "ranking": ["int64"],
    "ranked_message_ids": ["string"],
    "ranking_parent_id": "string",
    "message_tree_id": "string",
    "not_rankable": "bool",
}
MESSAGE = {
    "message_id": "string",
    "parent_id": "string",
    "user_id": "string",
    "text": "string",
    "role": "string",
    "lang": "string",
    "review_count": "int64",
    "review_result": "bool",
    "deleted": "bool",
    "rank": "int64",
    "synthetic": "bool",
    "model_name": "string",
    "emojis": "null",
    "labels": {"quality": {"value": "float64", "count": "int64"}},
    "events": {"ranking": [EVENT]},
    "tree_state": "string",
}

FORMATS = (
    Format(
        name="sft",
        layer="derived",
        about="A task with its best instruction, a person's own where there is one: `prompt`, `completion`.",
        columns={
            "prompt": "string",
            "completion": "string",
            "share": "float64",
            "pairs": "int64",
            "completion_id": "int64",
            "source": "string",
            "checkpoint": "int64",
        }
        | ABOUT,
        lines=prompt_lines(sft),
        tags=("trl", "sft"),
    ),
    Format(
        name="ultrafeedback",
        layer="derived",
        about="A task with all its instructions, scored as UltraFeedback has them.",
        columns={
            "source": "string",
            "instruction": "string",
            "models": ["string"],
            "completions": [SCORED],
            "correct_answers": ["string"],
            "incorrect_answers": ["string"],
        }
        | ABOUT,
        lines=prompt_lines(ultrafeedback),
        file_types=("jsonl", "parquet"),
    ),
    Format(
        name="oasst",
        layer="derived",
        about="A message tree as Open-Assistant has them: the task, its instructions as ranked replies.",
        columns={
            "message_tree_id": "string",
            "tree_state": "string",
            "prompt": MESSAGE | {"replies": [MESSAGE | {"replies": ["null"]}]},
            "origin": "string",
        },
        lines=prompt_lines(message_tree),
        file_types=("jsonl", "parquet"),
    ),
)
