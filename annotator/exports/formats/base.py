"""What a format is: a name, the columns of its lines, and how a prompt's judgments become lines."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from annotator.exports import provenance
from annotator.exports.reading import Judged, Reader, Said, Text

if TYPE_CHECKING:
    from annotator.exports.manifest import Manifest

Row = dict[str, Any]
Columns = Mapping[str, Any]
"""The type of each column: "string", "time" (ISO 8601), "int64", "float64", "bool" or "null"; [type] is a
list, {name: type} an object."""


class Line(NamedTuple):
    """A line, with the judgments that it comes from and the texts that are in it."""

    row: Row
    votes: Sequence[Said]
    texts: Sequence[Text]


@dataclass
class How:
    """What formats ask beside the judgments: the rule, people's names and weights, models' names."""

    reader: Reader
    rule: str = "vote"

    def __post_init__(self) -> None:
        self._models: dict[int, str] = {}

    def name(self, user_id: int) -> str:
        return self.reader.name(user_id)

    def model(self, text: Text) -> str:
        """Who wrote the text, as tables of models name it."""
        if text.checkpoint is None:
            return text.origin or (f"model-{text.iteration}" if text.source == "model" else text.source)
        known = self._models.get(text.checkpoint)
        if known is None:
            about = provenance.known.describe([text.checkpoint])[text.checkpoint]
            known = self._models[text.checkpoint] = f"{about['name']} ({text.checkpoint})"
        return known


@dataclass(frozen=True)
class Format:
    """One form of the data."""

    name: str
    layer: str
    """`raw` judgments as given, or `derived` preferences."""
    about: str
    """What a line is, for the data set's card."""
    columns: Columns
    lines: Callable[[Iterator[Judged], How], Iterable[Line]]
    """The lines of one prompt's comparisons."""
    rules: tuple[str, ...] = ("vote",)
    file_types: tuple[str, ...] = ("jsonl", "csv", "parquet")
    """The first is what its readers expect."""
    may_gzip: bool = True
    tags: tuple[str, ...] = ()
    extra_files: Callable[[Manifest], Mapping[str, Any]] = lambda manifest: {}
    """Further JSON files by name, that its readers want beside the data."""
