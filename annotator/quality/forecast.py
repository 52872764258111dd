"""When the queue will be empty, at the pace of the last active days or hours."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from math import ceil

WINDOW = 14
"""Days that a pace is taken from."""


@dataclass(frozen=True)
class Forecast:
    """`day` or, after a single day's work, `hours`; both None where nothing can be said."""

    remaining: int
    day: date | None = None
    hours: float | None = None
    pace: float | None = None
    """Judgments a day (with `day`) or an hour (with `hours`)."""


def forecast(remaining: int, daily: Mapping[date, int], hourly: Mapping[int, int], today: date) -> Forecast:
    """From judgments a day, and of the last active day an hour.

    Two days of work and more give a day: idle days between the first of them and today count, since they
    come again. One day only gives hours of work.
    """
    recent = {day: n for day, n in daily.items() if n and timedelta(0) <= today - day < timedelta(WINDOW)}
    if not remaining or not recent:
        return Forecast(remaining)
    if len(recent) > 1:
        pace = sum(recent.values()) / ((today - min(recent)).days + 1)
        days = ceil(remaining / pace)
        return Forecast(remaining, day=today + timedelta(min(days, 36_500)), pace=pace)
    busy = [n for n in hourly.values() if n]
    if not busy:
        return Forecast(remaining)
    pace = sum(busy) / len(busy)
    return Forecast(remaining, hours=remaining / pace, pace=pace)
