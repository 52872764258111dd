"""Answers requests for scores, in the worker that keeps the reward models: all that wait in one batch."""

from __future__ import annotations

import dataclasses
import json
import logging
import time
from collections.abc import Iterable, Iterator
from itertools import groupby
from typing import Any

from django.conf import settings

from annotator.models import Prompt
from rlhf import refitting
from rlhf.lm.checkpoints import BadCheckpoint
from rlhf.lm.data import Task
from rlhf.lm.features import Item
from rlhf.lm.reward_model import RewardModel
from rlhf.models import Checkpoint, LiveHeads
from rlhf.scoring.asking import ABSENT, ANSWER, WAITING, client
from rlhf.snapshots import task_of
from rlhf.stages.loading import folder_of, newest_reward_of

log = logging.getLogger(__name__)

BATCH = 64
"""Requests answered together."""
KEPT_SECONDS = 60
"""An answer that nobody fetches goes after so long."""

Request = dict[str, Any]
_refitted: dict[tuple[int, int], RewardModel] = {}
"""The newest refitted model of a checkpoint, by (checkpoint, refit): one."""


def answer_all() -> int:
    """Answer the requests that wait; how many."""
    answered = 0
    while requests := [json.loads(row) for row in _waiting()]:
        client().delete(ABSENT)
        waited_for = [one for one in requests if one["until"] > time.time()]
        for (checkpoint, live), group in groupby(sorted(waited_for, key=_model), key=_model):
            for request, answer in _answers(checkpoint, live, list(group)):
                _put(request, answer)
                answered += 1
    return answered


def _waiting() -> list[str]:
    found: Any = client().lpop(WAITING, BATCH)
    return list(found or [])


def _model(request: Request) -> tuple[int, bool]:
    return request["checkpoint"], request["live"]


def _answers(checkpoint_id: int, live: bool, requests: list[Request]) -> Iterator[tuple[Request, Request]]:
    """Each request with its answer; where the model cannot be used all get the reason."""
    try:
        checkpoint = Checkpoint.objects.select_related("project").get(pk=checkpoint_id)
        model, refit = _model_of(checkpoint, live)
        items = list(_items(one for request in requests for one in request["asked"]))
        mean, std = model.score(items)
    except (Checkpoint.DoesNotExist, BadCheckpoint, ValueError) as error:
        log.warning("checkpoint %s cannot score: %s", checkpoint_id, error)
        yield from ((request, {"error": str(error)}) for request in requests)
        return
    start = 0
    for request in requests:
        end = start + len(request["asked"])
        yield request, {"mean": mean[start:end].tolist(), "std": std[start:end].tolist(), "refit": refit}
        start = end


def _put(request: Request, answer: Request) -> None:
    name = ANSWER + request["name"]
    with client().pipeline() as pipe:
        pipe.rpush(name, json.dumps(answer))
        pipe.expire(name, KEPT_SECONDS)
        pipe.execute()


def _model_of(checkpoint: Checkpoint, live: bool) -> tuple[RewardModel, int | None]:
    """The reward model, and which refit its heads are of. Features of texts seen once are not kept."""
    row = LiveHeads.objects.filter(checkpoint=checkpoint, refits__gt=0, error="").first() if live else None
    if row is not None:
        key = (checkpoint.pk, row.refits)
        if key not in _refitted:
            _refitted.clear()
            _refitted[key] = newest_reward_of(checkpoint)
        return _without_cache(_refitted[key]), row.refits
    if checkpoint.config.get("length") == "removed":  # it has no refits, and so no memory
        key = (checkpoint.pk, 0)
        if key not in _refitted:
            _refitted.clear()
            _refitted[key] = RewardModel.load(folder_of(checkpoint), settings.MODELS_DIR)
        return _refitted[key], None
    return _without_cache(refitting.memory_of(checkpoint).refitter.model), None


def _without_cache(model: RewardModel) -> RewardModel:
    return dataclasses.replace(model, features=dataclasses.replace(model.features, cache=None))


def _items(asked: Iterable[dict[str, Any]]) -> Iterator[Item]:
    """Tasks as models see them, with the texts."""
    rows = list(asked)
    prompts = Prompt.objects.in_bulk({one["prompt"] for one in rows if one["prompt"]})
    for one in rows:
        prompt = prompts.get(one["prompt"])
        task = task_of(prompt) if prompt else Task(id="", text=one["words"], language=one["language"])
        yield task, one["text"]
