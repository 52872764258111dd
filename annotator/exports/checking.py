"""Reading what was asked for from JSON: each wrong value is refused by the name of its field."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from datetime import datetime
from typing import Any

from django.utils.dateparse import parse_datetime
from django.utils.timezone import is_naive
from django.utils.translation import gettext as _


class InvalidRequest(ValueError):
    """What was asked for cannot be exported; `field` names what is wrong, the message says why."""

    def __init__(self, field: str, message: str) -> None:
        super().__init__(f"{field}: {message}")
        self.field = field
        self.message = message


def fields_of(value: Any, known: Collection[str], *, field: str) -> Mapping[str, Any]:
    """The value as an object that has no field but those known."""
    if not isinstance(value, Mapping):
        raise InvalidRequest(field, _("This is an object."))
    for name in value:
        if name not in known:
            raise InvalidRequest(str(name), _("There is no such field."))
    return value


def whole_number(field: str, value: Any, *, least: int = 0) -> int | None:
    if value is None:
        return None
    if type(value) is not int or value < least:
        raise InvalidRequest(field, _("This is a whole number, at least %(least)d.") % {"least": least})
    return value


def share(field: str, value: Any) -> float | None:
    """A number from 0 to 1."""
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise InvalidRequest(field, _("This is a number from 0 to 1."))
    if not 0 <= value <= 1:
        raise InvalidRequest(field, _("This is a number from 0 to 1."))
    return float(value)


def moment(field: str, value: Any) -> datetime | None:
    """A time with its zone."""
    if value is None:
        return None
    try:
        found = value if isinstance(value, datetime) else parse_datetime(value)
    except (TypeError, ValueError):
        found = None
    if found is None or is_naive(found):
        raise InvalidRequest(field, _("This is a time with its zone, as 2026-01-31T12:00:00Z."))
    return found


def choice(field: str, value: Any, choices: Collection[str]) -> str:
    if not isinstance(value, str) or value not in choices:
        raise InvalidRequest(
            field,
            _("“%(value)s” is not one of: %(choices)s.") % {"value": value, "choices": ", ".join(choices)},
        )
    return value


def words(field: str, value: Any, choices: Collection[str] | None = None) -> tuple[str, ...]:
    """A list of words, sorted and each once; with `choices`, of these alone."""
    if not isinstance(value, list | tuple) or not all(isinstance(word, str) for word in value):
        raise InvalidRequest(field, _("This is a list of words."))
    if choices is not None:
        for word in value:
            choice(field, word, choices)
    return tuple(sorted(set(value)))


def yes_or_no(field: str, value: Any) -> bool:
    if not isinstance(value, bool):
        raise InvalidRequest(field, _("This is true or false."))
    return value
