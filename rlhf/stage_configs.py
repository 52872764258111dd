"""From what a form or a command gives to a stage's config dataclass, and back from what a run keeps."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from typing import Any, TypeVar, get_type_hints

from django.utils.translation import gettext as _

from rlhf.lm.configs import POLICY_CONFIGS

Config = TypeVar("Config")

BOUNDS: dict[str, tuple[float, float]] = {
    "completions_per_task": (1, 64),
    "best_of": (1, 64),
    "completions_per_prompt": (2, 64),
    "prompts_per_step": (1, 256),
    "temperature": (0.01, 2),
    "top_p": (0.01, 1),
    "max_new_tokens": (1, 1024),
    "batch_size": (1, 1024),
    "heads": (1, 64),
    "steps": (1, 100_000),
    "learning_rate": (1e-8, 1),
    "clip_coef": (0.01, 1),
    "kl_budget": (0.01, 1000),
    "beta": (1e-3, 100),
    "epochs": (1, 1000),
    "groups_per_step": (1, 256),
    "length_drift": (1, 1000),
    "disagreement": (1, 1000),
    "entropy_floor": (0, 1),
    "repetition": (0, 1),
    "lora_r": (1, 256),
    "lora_alpha": (1, 1024),
    "save_every": (1, 1000),
    "gold_every": (0, 100_000),
    "gold_examples": (1, 64),
    "bootstrap": (100, 100_000),
}
"""What is sensible for a field, whichever config it is in. Other numbers must be 0 or more."""
CHOICES = {
    "algorithm": tuple(POLICY_CONFIGS),
    "loss": ("sigmoid", "ipo"),
    "ties": ("davidson", "half"),
    "strength": ("graded", "margin", "ignored"),
    "rankings": ("pairs", "plackett_luce"),
    "length": ("as_is", "given", "balanced", "removed"),
}


class InvalidConfig(ValueError):
    """A field that does not exist, or a value that does not fit; the message names it."""


def fill_in(kind: type[Config], values: Mapping[str, Any]) -> dict[str, Any]:
    """The whole config as plain JSON: the dataclass's defaults, with `values` put over them.

    Text from a form is read as the field's type. Raises InvalidConfig.
    """
    types = get_type_hints(kind)
    unknown = sorted(set(values) - set(types))
    if unknown:
        raise InvalidConfig(
            _("There is no setting “%(name)s”. There are: %(known)s.")
            % {"name": unknown[0], "known": ", ".join(types)}
        )
    read = {name: _read(name, types[name], value) for name, value in values.items()}
    return dataclasses.asdict(kind(**read))  # type: ignore[call-overload,no-any-return]


def load(kind: type[Config], stored: Mapping[str, Any]) -> Config:
    """The config dataclass of a run. What the run was asked besides is left out."""
    names = get_type_hints(kind)
    return kind(**{name: value for name, value in stored.items() if name in names})


def _read(name: str, kind: type, value: Any) -> Any:
    refusal = InvalidConfig(_("“%(value)s” is not a value for %(name)s.") % {"value": value, "name": name})
    if kind is bool:
        if str(value).lower() not in ("true", "false", "on", "1", "0"):
            raise refusal
        return str(value).lower() in ("true", "on", "1")
    if kind is str:
        if value not in CHOICES.get(name, (value,)):
            raise refusal
        return str(value)
    try:
        number = kind(value)
        whole = float(value)
    except (TypeError, ValueError, OverflowError) as error:
        raise refusal from error
    if not math.isfinite(whole) or whole != number:
        raise refusal
    low, high = BOUNDS.get(name, (0, 1e12))
    if not low <= number <= high:
        raise InvalidConfig(
            _("%(name)s is %(value)s; it must lie between %(low)g and %(high)g.")
            % {"name": name, "value": value, "low": low, "high": high}
        )
    return number
