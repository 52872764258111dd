"""The files that an import keeps: the prepared tasks until they are imported, and the lines that were rejected.

Both are JSON Lines. They are written under names of their own and belong to the import only once its row
names them, so that a worker that dies leaves nothing that is taken for whole.
"""

from __future__ import annotations

import errno
import json
import secrets
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


class Files:
    """The two files of one inspection, open for writing; on an error they are gone."""

    def __init__(self) -> None:
        token = secrets.token_hex(16)
        self.records_name = f"{FOLDER}{token}.records.jsonl"
        self.rejects_name = f"{FOLDER}{token}.rejects.jsonl"
        self.rejected = 0

    def __enter__(self) -> Files:
        path_of(FOLDER).mkdir(parents=True, exist_ok=True)
        self._records: TextIO = path_of(self.records_name).open("w", encoding="utf-8")
        self._rejects: TextIO = path_of(self.rejects_name).open("w", encoding="utf-8")
        return self

    def __exit__(self, kind: object, error: object, trace: object) -> None:
        try:
            for file in (self._records, self._rejects):
                file.close()  # may find the disk full
        except OSError:
            self.remove()
            raise
        if kind is not None:
            self.remove()

    def add(self, found: Record | Rejected) -> None:
        """Write one prepared task, or one line that brought nothing."""
        if isinstance(found, Rejected):
            self.rejected += 1
            self._rejects.write(_line(asdict(found)))
        else:
            self._records.write(_line(_plain(found)))

    def remove(self) -> None:
        for name in (self.records_name, self.rejects_name):
            path_of(name).unlink(missing_ok=True)


def records_of(batch: PromptImport) -> Iterator[Record]:
    """The prepared tasks, in the order of the file."""
    with path_of(str(batch.records.name)).open(encoding="utf-8") as lines:
        for line in lines:
            yield _record(json.loads(line))


def rejects_of(batch: PromptImport, most: int) -> list[dict[str, Any]]:
    """The first lines that brought nothing: {"line", "field", "why", "raw", "step"}."""
    if not batch.rejects:
        return []
    with path_of(str(batch.rejects.name)).open(encoding="utf-8") as lines:
        return [json.loads(line) for line, _ in zip(lines, range(most), strict=False)]


def path_of(name: str) -> Path:
    """Where a file lies that an import keeps."""
    return Path(settings.MEDIA_ROOT) / name


def forget(name: str) -> None:
    """Remove a file that no import names any more."""
    if name:
        path_of(name).unlink(missing_ok=True)


def _line(row: dict[str, Any]) -> str:
    # ASCII: half a surrogate pair in a rejected line must not stop the others.
    return json.dumps(row) + "\n"


def _plain(record: Record) -> dict[str, Any]:
    """The record without what is empty. Not `asdict`, which copies deeply and takes ten times as long."""
    row: dict[str, Any] = {}
    for name in _NAMES:
        value = getattr(record, name)
        if value:
            row[name] = value
    for name in ("completions", "preferences"):
        if name in row:
            row[name] = [vars(given) for given in row[name]]
    return row


_NAMES = [one.name for one in fields(Record)]


def _record(row: dict[str, Any]) -> Record:
    for name in ("examples", "held_out_examples", "ignored", "flags"):
        if name in row:
            row[name] = tuple(row[name])
    row["completions"] = tuple(GivenCompletion(**given) for given in row.get("completions", ()))
    row["preferences"] = tuple(
        GivenRanking(**{**given, "ranks": tuple(given["ranks"])}) for given in row.get("preferences", ())
    )
    return Record(**row)
