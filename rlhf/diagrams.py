"""Places in the pictures of a reward report, in percent of a width or height; no colours, no words."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rlhf.figures import Figure

Found = Mapping[str, Any]


@dataclass(frozen=True)
class Axis:
    """From `low` at 0 % to `high` at 100 %; what lies beyond stands at the end."""

    low: float
    high: float

    def place(self, value: float) -> float:
        inside = min(max(value, self.low), self.high)
        return round(100 * (inside - self.low) / (self.high - self.low), 2)

    def ticks(self, step: float) -> list[tuple[float, str]]:
        """Place and label of every multiple of `step`, as shares."""
        first, last = math.ceil(self.low / step - 1e-9), math.floor(self.high / step + 1e-9)
        return [(self.place(n * step), f"{round(100 * n * step)} %") for n in range(first, last + 1)]


SHARES = Axis(0.3, 1.0)
CHANCE = SHARES.place(0.5)
TRUST = Axis(0.0, 1.0)
SURE = Axis(0.5, 1.0)


@dataclass(frozen=True)
class Whisker:
    """A figure as a dot with its interval, on an axis; places are percentages of its width."""

    figure: Figure
    kind: str
    """model, baseline or ceiling: how it is drawn."""
    x: float
    x_low: float
    x_high: float
    note: str = ""
    is_small: bool = False
    badge: str = ""


def whisker(item: Figure, kind: str, axis: Axis = SHARES, **more: Any) -> Whisker:
    value = item.value or 0.0
    low = value if item.low is None else item.low
    high = value if item.high is None else item.high
    return Whisker(item, kind, axis.place(value), axis.place(low), axis.place(high), **more)


@dataclass(frozen=True)
class Dot:
    """A point of a picture, y from the top; with its interval, and its radius in pixels."""

    x: float
    y: float
    y_low: float
    y_high: float
    radius: float = 5.0


@dataclass(frozen=True)
class Diagram:
    """Dots over two axes; `line` and `band` are points of a square of 100 by 100."""

    dots: list[Dot]
    x_ticks: list[tuple[float, str]]
    y_ticks: list[tuple[float, str]]
    line: str = ""
    band: str = ""
    ahead: str = ""
    """The way to a forecast, and its band."""
    ahead_band: str = ""
    level: float | None = None
    diagonal: tuple[float, float, float, float] | None = None


def reliability_diagram(bins: Sequence[Found]) -> Diagram:
    """How often it was right over how sure it was; the diagonal is where the two are the same."""
    ends = [end for row in bins for end in _ends(row.get("interval"), row["accuracy"])]
    axis = Axis(_floor(min([0.5, *ends])), 1.0)
    most = max(row["count"] for row in bins)
    dots = [
        _dot(
            SURE.place(row["confidence"]),
            row["accuracy"],
            row.get("interval"),
            axis,
            radius=round(4 + 6 * math.sqrt(row["count"] / most), 1),
        )
        for row in bins
    ]
    return Diagram(
        dots,
        SURE.ticks(0.1),
        _upside_down(axis.ticks(0.1)),
        diagonal=(0, 100 - axis.place(0.5), 100, 0),
    )


def curve_diagram(curve: Found, ceiling: float | None) -> Diagram:
    """Accuracy over the rankings trained on, each step twice the one before; the last dot is the forecast."""
    points = [(point["accuracy"], point["rankings"]) for point in curve["points"]]
    points.append((curve["forecast"], curve["forecast_rankings"]))
    ends = [end for found, _ in points for end in (found["low"], found["high"])]
    low = _floor(min(ends))
    high = min(1.0, -_floor(-max(ends)))
    if ceiling is not None and ceiling <= high + 0.15:
        high = max(high, min(1.0, -_floor(-ceiling)))
    axis = Axis(low, high)
    places = [round(100 * (n + 0.5) / len(points), 2) for n in range(len(points))]
    dots = [_dot(x, found["value"], found, axis) for x, (found, _) in zip(places, points, strict=True)]
    return Diagram(
        dots,
        [(x, f"{rankings}") for x, (_, rankings) in zip(places, points, strict=True)],
        _upside_down(axis.ticks(0.1 if high - low > 0.25 else 0.05)),
        line=_line(dots[:-1]),
        band=_band(dots[:-1]),
        ahead=_line(dots[-2:]),
        ahead_band=_band(dots[-2:]),
        level=None if ceiling is None or ceiling > high else 100 - axis.place(ceiling),
    )


def _dot(x: float, value: float, found: Found | None, axis: Axis, radius: float = 5.0) -> Dot:
    low, high = _ends(found, value)
    y, y_low, y_high = (round(100 - axis.place(share), 2) for share in (value, low, high))
    return Dot(x, y, y_low, y_high, radius)


def _ends(found: Found | None, value: float) -> tuple[float, float]:
    return (found["low"], found["high"]) if found else (value, value)


def _floor(share: float) -> float:
    return math.floor(share * 20 + 1e-9) / 20


def _upside_down(ticks: list[tuple[float, str]]) -> list[tuple[float, str]]:
    return [(round(100 - place, 2), label) for place, label in ticks]


def _line(dots: Sequence[Dot]) -> str:
    return " ".join(f"{dot.x:g},{dot.y:g}" for dot in dots)


def _band(dots: Sequence[Dot]) -> str:
    above = [f"{dot.x:g},{dot.y_high:g}" for dot in dots]
    below = [f"{dot.x:g},{dot.y_low:g}" for dot in reversed(dots)]
    return " ".join([*above, *below])
