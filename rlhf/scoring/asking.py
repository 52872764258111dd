"""Asks the worker for scores and waits for them: a request on one list in Redis, its answer on one more.

A Celery message only says "look": whoever gets it answers all requests that wait, in one batch.
"""

from __future__ import annotations

import dataclasses
import functools
import json
import logging
import time
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import redis
from django.conf import settings
from kombu.exceptions import OperationalError

from annotator.site.celery import app
from annotator.site.servers import direct_url
from rlhf.models import Checkpoint
from rlhf.scoring.reading import Asked

log = logging.getLogger(__name__)

WAITING = "prefloop:score:waiting"
ANSWER = "prefloop:score:answer:"
ABSENT = "prefloop:score:absent"
ABSENT_SECONDS = 10
"""So long after one request that nobody answered the next ones are refused at once."""


class NobodyAnswers(Exception):
    """There is no worker, or no Redis to ask it by."""


class CannotScore(Exception):
    """The worker says why."""


@dataclass(frozen=True)
class Scores:
    """Of each text the heads' mean and standard deviation."""

    mean: list[float]
    std: list[float]
    refit: int | None
    """Which refit of the heads gave them; None: the checkpoint's own heads."""


@functools.cache
def client() -> redis.Redis:
    """This process's connections to Redis."""
    found: redis.Redis = redis.Redis.from_url(
        direct_url(settings.CELERY_BROKER_URL),
        socket_connect_timeout=2,
        socket_timeout=settings.SCORE_SECONDS + 5,  # longer than the longest wait for an answer
        decode_responses=True,
    )
    return found


def ask(checkpoint: Checkpoint, asked: Sequence[Asked], *, live: bool = False) -> Scores:
    """The scores of these texts; of `live` heads as last refitted. Raises NobodyAnswers, CannotScore."""
    name = uuid.uuid4().hex
    request = {
        "name": name,
        "checkpoint": checkpoint.pk,
        "live": live,
        "until": time.time() + settings.SCORE_SECONDS,
        "asked": [dataclasses.asdict(one) for one in asked],
    }
    try:
        if client().exists(ABSENT):
            raise NobodyAnswers
        client().rpush(WAITING, json.dumps(request))
        app.send_task("rlhf.tasks.answer_scores", retry=False, expires=settings.SCORE_SECONDS)
        found = client().blpop([ANSWER + name], timeout=settings.SCORE_SECONDS)
        if found is None:
            client().set(ABSENT, 1, ex=ABSENT_SECONDS)
            log.warning("nobody has answered a request for scores within %.0f s", settings.SCORE_SECONDS)
            raise NobodyAnswers
    except (redis.RedisError, OperationalError, OSError) as error:
        log.warning("scores cannot be asked for: %s", error)
        raise NobodyAnswers from error
    answer: dict[str, Any] = json.loads(found[1])
    if answer.get("error"):
        raise CannotScore(answer["error"])
    return Scores(answer["mean"], answer["std"], answer["refit"])
