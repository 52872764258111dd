"""What came of a run, as figures for people: each with its interval, its unit and what it means."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from django.utils.translation import gettext as _

from annotator.templatetags.pages import percent
from rlhf.models import Checkpoint, Evaluation, Run


@dataclass(frozen=True)
class Figure:
    """A number with its 95 % interval, where it has one."""

    label: str
    value: float | None
    low: float | None = None
    high: float | None = None
    is_share: bool = False
    is_difference: bool = False
    digits: int = 2
    hint: str = ""

    @property
    def text(self) -> str:
        return self._write(self.value)

    @property
    def interval(self) -> str:
        if self.low is None or self.high is None:
            return ""
        if self.is_share:
            return f"{100 * self.low:.0f}–{100 * self.high:.0f} %"
        return f"{self._write(self.low)} – {self._write(self.high)}"

    def _write(self, value: float | None) -> str:
        if value is None:
            return "–"
        if self.is_share:
            return percent(value)
        sign = "+" if self.is_difference else ""
        return f"{value:{sign}.{self.digits}f}".replace("-", "−")


def figure(label: str, found: Any, **kinds: Any) -> Figure:
    """A figure from a number, or from {"value", "low", "high"}; nothing gives a dash."""
    if isinstance(found, Mapping):
        return Figure(label, found.get("value"), found.get("low"), found.get("high"), **kinds)
    return Figure(label, found if isinstance(found, int | float) else None, **kinds)


def reward_figures(checkpoint: Checkpoint) -> list[Figure]:
    """What a row of the reward models shows: accuracy, the length baseline, the human ceiling."""
    metrics = checkpoint.metrics
    return [
        figure(_("Held-out accuracy"), metrics.get("accuracy"), is_share=True),
        figure(_("Longer wins"), metrics.get("longer"), is_share=True),
        figure(_("Human ceiling"), metrics.get("human_ceiling"), is_share=True),
    ]


def gold_gain(evaluation: Evaluation) -> Figure:
    return figure(_("Gold gain"), evaluation.result.get("gold", {}).get("difference"), is_difference=True)


def evaluation_figures(evaluation: Evaluation) -> list[Figure]:
    """What a row of the lineage shows of a policy's evaluation: what it gained on the one before."""
    reward = evaluation.result.get("reward", {})
    return [
        gold_gain(evaluation),
        figure(_("Reward gain"), reward.get("difference"), is_difference=True),
    ]


def report_of(run: Run) -> None:
    return None
