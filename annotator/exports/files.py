"""Rows to bytes (JSON Lines, CSV, Parquet): the same rows to the same bytes, hashed as they are written."""

from __future__ import annotations

import csv
import gzip
import hashlib
import io
import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

from annotator.exports.formats.base import Columns, Row

FORMULA = re.compile(r"[\s'\"]*[=+\-@\t\r＝＋－＠]")
"""What a spreadsheet may take for a formula, also behind quotes and white space."""
LINE_ENDS = {"\u2028": "\\u2028", "\u2029": "\\u2029", "\x85": "\\u0085"}
"""Allowed within JSON, but some readers end a line there."""


class Encoder(Protocol):
    """Turns rows into the bytes that stand for them in a file that can be written piece by piece."""

    def header(self) -> bytes: ...

    def encode(self, rows: Sequence[Row]) -> bytes: ...

    def footer(self) -> bytes: ...


class JsonLines:
    """A JSON object a line, UTF-8."""

    def __init__(self, columns: Columns) -> None:
        self._to_json = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode

    def header(self) -> bytes:
        return b""

    def encode(self, rows: Sequence[Row]) -> bytes:
        text = "\n".join(map(self._to_json, rows)) + "\n" if rows else ""
        for end, escaped in LINE_ENDS.items():
            text = text.replace(end, escaped)
        return _utf8(text)

    def footer(self) -> bytes:
        return b""


class JsonArray:
    """One array of all objects, for readers that take in a file whole."""

    def __init__(self, columns: Columns) -> None:
        self._lines = JsonLines(columns)
        self._before = b""

    def header(self) -> bytes:
        return b"[\n"

    def encode(self, rows: Sequence[Row]) -> bytes:
        if not rows:
            return b""
        data = self._before + self._lines.encode(rows)[:-1].replace(b"\n", b",\n")
        self._before = b",\n"
        return data

    def footer(self) -> bytes:
        return b"\n]\n"


class Csv:
    """A table with a header, UTF-8 with a mark so that spreadsheets know; what is nested is JSON.

    A text that a spreadsheet might compute gets an apostrophe in front. Take it away from every text that
    still matches FORMULA behind it, and all is as it was: `as_given` does.
    """

    def __init__(self, columns: Columns) -> None:
        self._columns = list(columns)

    def header(self) -> bytes:
        return "\ufeff".encode() + self._lines([self._columns])

    def encode(self, rows: Sequence[Row]) -> bytes:
        return self._lines([[_cell(row[name]) for name in self._columns] for row in rows])

    def footer(self) -> bytes:
        return b""

    def _lines(self, rows: list[list[Any]]) -> bytes:
        file = io.StringIO(newline="")
        csv.writer(file).writerows(rows)  # ends lines with CR LF, and so quotes what has either
        return _utf8(file.getvalue())


def neutral(text: str) -> str:
    """The text as a cell that no spreadsheet takes for a formula."""
    return f"'{text}" if FORMULA.match(text) else text


def as_given(cell: str) -> str:
    """The text that `neutral` was given."""
    return cell[1:] if cell.startswith("'") and FORMULA.match(cell) else cell


def _cell(value: Any) -> Any:
    if isinstance(value, str):
        return neutral(value)
    if isinstance(value, list | dict):
        return neutral(json.dumps(value, ensure_ascii=False, separators=(",", ":")))
    if isinstance(value, bool):
        return "true" if value else "false"
    return value


def _utf8(text: str) -> bytes:
    try:
        return text.encode()
    except UnicodeEncodeError:  # half a surrogate pair, which no UTF-8 has
        return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace").encode()


class Hashed(io.RawIOBase):
    """A file that knows the number and the hash of the bytes it was given."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("wb")
        self._digest = hashlib.sha256()
        self.bytes = 0

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        self._file.write(data)
        self._digest.update(data)
        self.bytes += len(data)
        return len(data)

    @property
    def sha256(self) -> str:
        return self._digest.hexdigest()

    def close(self) -> None:
        self._file.close()
        super().close()


class Writer:
    """Writes rows to one file; `close` it to have all of them there."""

    def __init__(self, path: Path, columns: Columns, *, file_type: str, compress: bool) -> None:
        self.file = Hashed(path)
        self._parquet: Any = None
        if file_type == "parquet":
            from annotator.exports.parquet import RowGroups

            self._parquet = RowGroups(self.file, columns)
            return
        self._encoder = ENCODERS[file_type](columns)
        self._stream: Any = self.file
        if compress:
            # Neither name nor time: the same rows are the same bytes.
            self._stream = gzip.GzipFile("", "wb", compresslevel=6, fileobj=self.file, mtime=0)
        self._stream.write(self._encoder.header())

    def add(self, rows: Sequence[Row]) -> None:
        if self._parquet is not None:
            self._parquet.add(rows)
        else:
            self._stream.write(self._encoder.encode(rows))

    def close(self) -> None:
        if self._parquet is not None:
            self._parquet.close()
        else:
            self._stream.write(self._encoder.footer())
            if self._stream is not self.file:
                self._stream.close()
        self.file.close()


ENCODERS: dict[str, Any] = {"jsonl": JsonLines, "json": JsonArray, "csv": Csv}


def suffix(file_type: str, *, compress: bool) -> str:
    return f".{file_type}.gz" if compress else f".{file_type}"
