"""What a plot is: drawn by static/js/charts.js into the frame of templates/_plot.html."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from typing import Any


@dataclass(frozen=True)
class Series:
    """One line: the key of the records' values, and of its interval where it has one."""

    key: str
    label: str
    low: str = ""
    high: str = ""
    look: int = 0
    """Its colour and dash, 1 to 4; 0: by its place in the plot."""


@dataclass(frozen=True)
class Plot:
    key: str
    title: str
    unit: str
    series: tuple[Series, ...]
    hint: str = ""
    percent: bool = False
    level: dict[str, Any] | None = field(default=None)
    """A line across the plot: {"value", "label"}."""
    bars: bool = False
    """Bars from zero in place of a line: for counts."""
    x_label: str = ""
    """Where the plots of a page have different x axes."""


def as_json(plots: Iterable[Plot]) -> list[dict[str, Any]]:
    return [asdict(plot) for plot in plots]
