"""What the containers have in common: the rows they yield, and their limits."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple, Protocol

from annotator.prompts.fields import Row
from annotator.prompts.records import Rejected

MAX_ROWS = 100_000
"""Of one file."""
MAX_CHARACTERS = 4_000_000
"""Of one row: longer ones are never held in memory."""


class Item(NamedTuple):
    """A row, the number of its line (of its row, where there are no lines), and how it was written."""

    line: int
    row: Row
    raw: str


class Container(Protocol):
    """An opened file of rows."""

    kind: str
    """A short name for it, the first part of an import's format."""
    encoding: str
    total: int | None
    """Lines or rows, where that is known before they are read."""

    @property
    def share(self) -> float:
        """How much has been read, from 0 to 1."""

    def items(self) -> Iterator[Item | Rejected]:
        """The rows from the beginning. Raises ImportProblem where it cannot be read any further."""
