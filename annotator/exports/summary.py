"""What was chosen and what came of it, in words: a recipe, a manifest's counts, an example of a line."""

from __future__ import annotations

import json
from typing import Any

from django.utils.translation import gettext as _

SHORT = 160
"""So many letters of a text are shown in an example."""


def example_line(row: dict[str, Any] | None) -> str:
    """A line as JSON that people can read: indented, long texts shortened."""
    return json.dumps(_shortened(row), ensure_ascii=False, indent=2) if row else ""


def _shortened(value: Any) -> Any:
    if isinstance(value, str):
        return value if len(value) <= SHORT else f"{value[:SHORT]}…"
    if isinstance(value, list):
        return [_shortened(one) for one in value]
    if isinstance(value, dict):
        return {name: _shortened(one) for name, one in value.items()}
    return value


def counts_in_words(counts: dict[str, int]) -> list[tuple[str, int]]:
    """The manifest's counts with their labels."""
    labels = {
        "lines": _("Lines"),
        "rankings": _("Judgments"),
        "prompts": _("Tasks"),
        "annotators": _("Annotators"),
        "held_out": _("Lines on held-out tasks"),
        "simulated": _("Lines from simulated annotators"),
        "superseded": _("Taken back or replaced"),
    }
    return [(str(label), counts[name]) for name, label in labels.items() if name in counts]


def choices_in_words(recipe: dict[str, Any]) -> list[tuple[str, str]]:
    """The recipe's filters and choices with their labels; what takes everything is not named."""
    chosen = recipe.get("selection", {})
    labels = {
        "iteration_from": _("From iteration"),
        "iteration_to": _("To iteration"),
        "given_from": _("Given from"),
        "given_before": _("Given before"),
        "min_reliability": _("Annotator's reliability at least"),
        "min_agreement": _("Agreement at least"),
        "domains": _("Domains"),
        "languages": _("Languages"),
        "sources": _("Instructions"),
        "judgments": _("Given by"),
        "held_out": _("Held-out tasks"),
    }
    found = [(str(label), _value(chosen[name])) for name, label in labels.items() if name in chosen]
    if recipe.get("rule", "vote") != "vote":
        found.append((str(_("Preferences from votes")), recipe["rule"]))
    splits = recipe.get("splits", {})
    if splits.get("train", 1.0) < 1:
        shares = ", ".join(f"{name} {share:.0%}" for name, share in splits.items() if share)
        found.append((str(_("Splits")), shares))
    kind = recipe["file_type"] + (".gz" if recipe.get("gzip") else "")
    found.append((str(_("Kind of file")), kind))
    if recipe.get("license", "unknown") != "unknown":
        found.append((str(_("Licence")), recipe["license"]))
    return found


def _value(value: Any) -> str:
    if isinstance(value, list):
        return ", ".join(map(str, value))
    return f"{value:.0%}" if isinstance(value, float) else str(value)
