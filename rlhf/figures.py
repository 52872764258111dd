"""Numbers as people read them: with sign, unit and 95 % interval."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


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
        if self.is_share and not self.is_difference:
            return f"{100 * self.low:.0f}–{100 * self.high:.0f} %"
        return f"{self._write(self.low)} – {self._write(self.high)}"

    def _write(self, value: float | None) -> str:
        if value is None:
            return "–"
        sign = "+" if self.is_difference else ""
        if self.is_share:
            return f"{100 * value:{sign}.0f} %".replace("-", "−")
        return f"{value:{sign}.{self.digits}f}".replace("-", "−")


def figure(label: str, found: Any, **kinds: Any) -> Figure:
    """A figure from a number, or from {"value", "low", "high"}; nothing gives a dash."""
    if isinstance(found, Mapping):
        return Figure(label, found.get("value"), found.get("low"), found.get("high"), **kinds)
    return Figure(label, found if isinstance(found, int | float) else None, **kinds)
