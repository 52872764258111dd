"""Rate limits: so many requests a minute for each token, person or address, counted in the shared cache.

A window is a minute of the clock, its count one number that the cache raises: several processes count
together. Where the cache is away nobody is held up: a limit protects the site, it does not carry it.
"""

from __future__ import annotations

import logging
import math
import re
import time
from typing import TYPE_CHECKING, Any, ClassVar

from django.conf import settings
from django.core.cache import caches
from redis.exceptions import RedisError
from rest_framework.request import Request
from rest_framework.throttling import BaseThrottle

from annotator.models import Token

if TYPE_CHECKING:  # REST framework's views import this module, by the settings
    from rest_framework.response import Response
    from rest_framework.views import APIView

log = logging.getLogger(__name__)

PERIODS = {"second": 1, "minute": 60, "hour": 3600}


class Limit(BaseThrottle):
    """One of settings.API_LIMITS. The view's response says how much is left (see `say`)."""

    name: ClassVar[str] = "calls"

    def allow_request(self, request: Request, view: APIView) -> bool:
        most, seconds = limit(self.name)
        if not most:
            return True
        now = time.time()
        window = int(now // seconds)
        self.left = (window + 1) * seconds - now
        used = count(f"limit:{self.name}:{caller(request)}:{window}", seconds)
        if used is None:
            return True
        state = {"name": self.name, "most": most, "seconds": seconds, "left": max(0, most - used)}
        states = request._request.__dict__.setdefault("_limits", [])
        states.append(state | {"reset": math.ceil(self.left)})
        return used <= most

    def wait(self) -> float:
        return self.left


class ScoreLimit(Limit):
    name = "scores"


def limit(name: str) -> tuple[int, int]:
    """How many requests in how many seconds; 0 requests: no limit."""
    found = re.fullmatch(r"(\d+)/(second|minute|hour)", settings.API_LIMITS[name])
    if found is None:
        raise ValueError(f"API_LIMITS: “{settings.API_LIMITS[name]}” is not such as 600/minute")
    return int(found[1]), PERIODS[found[2]]


def caller(request: Request) -> str:
    """Whose count it is: the token's, the person's, the address's."""
    if isinstance(request.auth, Token):
        return f"token-{request.auth.pk}"
    if request.user.is_authenticated:
        return f"person-{request.user.pk}"
    return f"address-{request.META.get('REMOTE_ADDR', '')}"


def count(key: str, seconds: int) -> int | None:
    """One more under this key; None where the cache is away."""
    cache = caches["default"]
    try:
        cache.add(key, 0, timeout=seconds + 5)
        return int(cache.incr(key))
    except ValueError:  # it went in this moment
        return 1
    except (RedisError, OSError) as error:
        log.warning("requests are not being counted: %s", error)
        return None


def say(request: Request, response: Response) -> Response:
    """Put the limits into headers (draft-ietf-httpapi-ratelimit-headers), the tightest first."""
    states: list[dict[str, Any]] = request._request.__dict__.get("_limits", [])
    if states:
        states = sorted(states, key=lambda state: state["left"] / state["most"])
        response["RateLimit-Policy"] = ", ".join(
            f'"{s["name"]}";q={s["most"]};w={s["seconds"]}' for s in states
        )
        response["RateLimit"] = ", ".join(f'"{s["name"]}";r={s["left"]};t={s["reset"]}' for s in states)
    return response
