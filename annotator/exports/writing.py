"""One file of one format, everything in it: what a download sends, and the loop writes."""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections.abc import Callable, Collection, Iterator
from pathlib import Path
from typing import BinaryIO

from annotator.exports import export
from annotator.exports.formats import FORMATS
from annotator.exports.formats.base import Row
from annotator.exports.manifest import DataFile, Manifest, Tally, manifest_of
from annotator.exports.reading import Reader
from annotator.exports.recipe import Recipe
from annotator.exports.selection import Frozen
from annotator.models import Project


class UnknownFormat(ValueError):
    """There is no export format of that name."""


def blocks(project: Project, *, format: str, withdrawn: Collection[int] | None = None) -> Iterator[bytes]:
    """The export's bytes, a block at a time: what a streaming response sends.

    Raises UnknownFormat at once, before the first block is asked for.
    """
    return export.stream(project, _recipe(format), withdrawn=withdrawn)


def rows(project: Project, *, format: str, withdrawn: Collection[int] | None = None) -> Iterator[Row]:
    """The export's lines as dictionaries. Raises UnknownFormat at once."""
    recipe = _recipe(format)
    reader = Reader(project, recipe.selection, Frozen.now(project), withdrawn)
    return (line.row for _, line in export.lines_of(recipe, reader))


def is_empty(project: Project, *, format: str) -> bool:
    """Whether the export would have no line."""
    return next(rows(project, format=format), None) is None


def write(
    project: Project,
    *,
    format: str,
    stream: BinaryIO,
    withdrawn: Collection[int] | None = None,
    report: Callable[[int], None] | None = None,
) -> Manifest:
    """Write the export to a binary stream; `report` is called with the lines so far."""
    recipe, tally, digest, size = _recipe(format), Tally(), hashlib.sha256(), 0
    reader = Reader(project, recipe.selection, Frozen.now(project), withdrawn)
    for block in export.encoded(recipe, reader, tally):
        stream.write(block)
        digest.update(block)
        size += len(block)
        if report:
            report(tally.counts["lines"])
    file = DataFile("", "all", tally.counts["lines"], size, digest.hexdigest())
    return manifest_of(recipe, reader, tally, (file,), {})


def write_file(
    project: Project,
    *,
    format: str,
    path: Path,
    withdrawn: Collection[int] | None = None,
    report: Callable[[int], None] | None = None,
) -> Manifest:
    """Write the export to `path`, and its manifest beside it; until both are whole there is neither."""
    with _whole(path) as stream:
        manifest = write(project, format=format, stream=stream, withdrawn=withdrawn, report=report)
    with _whole(manifest_path(path)) as stream:
        stream.write(manifest.to_json().encode())
    return manifest


def manifest_path(path: Path) -> Path:
    return path.with_name(f"{path.name}.manifest.json")


def _recipe(format: str) -> Recipe:
    if format not in FORMATS:
        raise UnknownFormat(f"“{format}” is not an export format: {', '.join(FORMATS)}.")
    return Recipe(format, file_type="jsonl")


class _whole:
    """A file that appears under its name only when it is complete."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __enter__(self) -> BinaryIO:
        handle, name = tempfile.mkstemp(dir=self.path.parent, prefix=f".{self.path.name}.")
        self.part = Path(name)
        self.stream: BinaryIO = os.fdopen(handle, "wb")
        return self.stream

    def __exit__(self, kind: object, error: object, trace: object) -> None:
        self.stream.close()
        if kind is None:
            self.part.chmod(0o644)
            self.part.replace(self.path)
        else:
            self.part.unlink(missing_ok=True)
