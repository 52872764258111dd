"""The files that an import keeps: the prepared tasks with their images until they are imported, and the lines
that were rejected.

Both are JSON Lines. They belong to an import once its row names them; whatever else bears its number was left
by a worker that died or was overtaken, and is removed by `tidy`.
"""

from __future__ import annotations

import errno
import json
import secrets
import shutil
from collections.abc import Iterator
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any, TextIO

from django.conf import settings

from annotator.models import PromptImport
from annotator.prompts.records import GivenCompletion, GivenRanking, Record, Rejected

FOLDER = str(PromptImport.file.field.upload_to)
FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
"""What the system says when there is no room: the disk's, the user's share, the largest file allowed."""
FIRST = 20
"""Rejected lines of each kind that are shown on the page."""
_NAMES = [one.name for one in fields(Record)]


class Files:
    """The files of one inspection, open for writing; on an error they are gone."""

    def __init__(self, batch: PromptImport) -> None:
        stem = f"{FOLDER}{batch.pk}-{secrets.token_hex(16)}"
        self.records_name, self.rejects_name = f"{stem}.records", f"{stem}.rejects"
        self.images = 0
        self.first: dict[str, list[dict[str, Any]]] = {"unread": [], "left_out": []}
        """The first lines that could not be read, and the first that a step left out."""

    def __enter__(self) -> Files:
        path_of(FOLDER).mkdir(parents=True, exist_ok=True)
        self._records: TextIO = path_of(self.records_name).open("w", encoding="ascii")
        self._rejects: TextIO = path_of(self.rejects_name).open("w", encoding="ascii")
        return self

    def __exit__(self, kind: object, error: object, trace: object) -> None:
        try:
            self.close()
        except OSError:
            self._remove()
            raise
        if kind is not None:
            self._remove()

    def add(self, found: Record | Rejected) -> None:
        """Write one prepared task, or one line that brought nothing."""
        # ASCII: half a surrogate pair in a rejected line must not stop the others.
        if isinstance(found, Rejected):
            row = asdict(found)
            self._rejects.write(json.dumps(row) + "\n")
            first = self.first["left_out" if found.step else "unread"]
            if len(first) < FIRST:
                first.append(row)
        else:
            self._records.write(json.dumps(_plain(found)) + "\n")

    def add_image(self, content: bytes, ending: str) -> str:
        """Keep a picture, and say under which name."""
        folder = images_of(self.records_name)
        path_of(folder).mkdir(exist_ok=True)
        self.images += 1
        name = f"{folder}/{self.images}.{ending}"
        path_of(name).write_bytes(content)
        return name

    def close(self) -> None:
        """Write out what is still in memory. Raises OSError where there is no room for it."""
        for file in (self._records, self._rejects):
            file.close()

    def _remove(self) -> None:
        for name in (self.records_name, self.rejects_name):
            forget(name)


def records_of(batch: PromptImport) -> Iterator[Record]:
    """The prepared tasks, in the order of the file."""
    with path_of(str(batch.records.name)).open(encoding="ascii") as lines:
        for line in lines:
            yield _record(json.loads(line))


def rejects_of(batch: PromptImport) -> Iterator[dict[str, Any]]:
    """The lines that brought nothing: {"line", "field", "why", "raw", "step"}."""
    if batch.rejects:
        with path_of(str(batch.rejects.name)).open(encoding="ascii") as lines:
            yield from map(json.loads, lines)


def in_words(row: dict[str, Any]) -> str:
    """A rejected line as a sentence: “Line 3, text: is empty.”"""
    return str(Rejected(**row))


def path_of(name: str) -> Path:
    """Where a file lies that an import keeps."""
    return Path(settings.MEDIA_ROOT) / name


def images_of(records_name: str) -> str:
    """The folder with the pictures of these prepared tasks."""
    return records_name.removesuffix(".records") + ".images"


def forget(name: str) -> None:
    """Remove a file of an import; with prepared tasks go their pictures."""
    if name:
        path_of(name).unlink(missing_ok=True)
        shutil.rmtree(path_of(images_of(name)), ignore_errors=True)


def tidy(batch: PromptImport) -> None:
    """Remove what bears the import's number and is not named by it."""
    named = {str(batch.records.name), str(batch.rejects.name)}
    for path in path_of(FOLDER).glob(f"{batch.pk}-*.re*"):
        if f"{FOLDER}{path.name}" not in named:
            forget(f"{FOLDER}{path.name}")


def _plain(record: Record) -> dict[str, Any]:
    """The record without what is empty. Not `asdict`, which copies deeply and takes ten times as long."""
    row = {name: value for name in _NAMES if (value := getattr(record, name)) or name in ("line", "text")}
    for name in ("completions", "preferences"):
        if name in row:
            row[name] = [vars(given) for given in row[name]]
    return row


def _record(row: dict[str, Any]) -> Record:
    for name in ("examples", "held_out_examples", "ignored", "flags"):
        row[name] = tuple(row.get(name, ()))
    row["completions"] = tuple(GivenCompletion(**given) for given in row.get("completions", ()))
    row["preferences"] = tuple(
        GivenRanking(**{**given, "ranks": tuple(given["ranks"])}) for given in row.get("preferences", ())
    )
    return Record(**row)
