"""Writing an export as JSON Lines, in bounded memory, to a file or to a response."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO

from annotator.exports.formats import FORMATS, Row
from annotator.exports.manifest import Manifest, Tally
from annotator.models import Project

BLOCK = 64 * 1024


class UnknownFormat(ValueError):
    """There is no export format of that name."""


def blocks(project: Project, *, format: str, tally: Tally | None = None) -> Iterator[bytes]:
    """The export's bytes, a block at a time: what a streaming response sends.

    Raises UnknownFormat at once, before the first block is asked for.
    """
    return _blocks(rows(project, format=format), tally or Tally())


def rows(project: Project, *, format: str) -> Iterator[Row]:
    """The export's lines as dictionaries. Raises UnknownFormat at once."""
    if format not in FORMATS:
        raise UnknownFormat(f"“{format}” is not an export format: {', '.join(FORMATS)}.")
    return FORMATS[format](project)


def is_empty(project: Project, *, format: str) -> bool:
    """Whether the export would have no line."""
    return next(rows(project, format=format), None) is None


def write(project: Project, *, format: str, stream: BinaryIO) -> Manifest:
    """Write the export to a binary stream, and say what was written."""
    tally = Tally()
    for block in blocks(project, format=format, tally=tally):
        stream.write(block)
    return tally.manifest(project, format)


def write_file(
    project: Project, *, format: str, path: Path, report: Callable[[int], None] | None = None
) -> Manifest:
    """Write the export to `path`, and its manifest beside it; until both are whole there is neither.

    `report` is called with the lines written so far.
    """
    tally = Tally()
    with _whole(path) as stream:
        for block in blocks(project, format=format, tally=tally):
            stream.write(block)
            if report:
                report(tally.counts["lines"])
    manifest = tally.manifest(project, format)
    with _whole(manifest_path(path)) as stream:
        stream.write(manifest.to_json().encode())
    return manifest


def manifest_path(path: Path) -> Path:
    return path.with_name(f"{path.name}.manifest.json")


def _blocks(lines: Iterator[Row], tally: Tally) -> Iterator[bytes]:
    waiting, size = [], 0
    for row in lines:
        data = json.dumps(row, ensure_ascii=False).encode() + b"\n"
        tally.add(row, data)
        waiting.append(data)
        size += len(data)
        if size >= BLOCK:
            yield b"".join(waiting)
            waiting, size = [], 0
    yield b"".join(waiting)


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
