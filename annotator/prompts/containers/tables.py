"""Tables as text: CSV in any of its dialects, with the columns' names in the first line."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator
from pathlib import Path

from annotator.prompts.containers.lines import Lines
from annotator.prompts.containers.rows import Item
from annotator.prompts.encodings import TextFile
from annotator.prompts.formats.headed import unpacked
from annotator.prompts.reading import ImportProblem
from annotator.prompts.records import Rejected, rejected

DELIMITERS = ",\t;|"
NO_DELIMITER = "\x1f"
"""For a table of one column."""
MAX_FIELD = 1_000_000
MAX_COLUMNS = 500
SAMPLE = 1 << 16
csv.field_size_limit(MAX_FIELD)
_SAID = re.compile(r"sep=(.)\s*", re.IGNORECASE)  # how Excel says what stands between fields
_NEUTRALISED = re.compile(r"'(?=[=+\-@\t\r])")  # as spreadsheets' formulas are on their way out


class Table(Lines):
    """A table; `delimiter` stands between its fields, `columns` are their names."""

    def __init__(self, path: Path, file: TextFile, delimiter: str, columns: list[str]) -> None:
        super().__init__(path, file)
        self.delimiter, self.columns = delimiter, columns
        self.kind = "tsv" if delimiter == "\t" else "csv"

    def items(self) -> Iterator[Item | Rejected]:
        """The rows from the beginning; one with more or fewer fields than columns is rejected."""
        reader = csv.reader(self._fed(), delimiter=self.delimiter)
        begun, seen_names = 0, False
        try:
            for cells in reader:
                line, begun = begun + 1, reader.line_num
                if not any(cell.strip() for cell in cells) or (line == 1 and _is_said(cells)):
                    continue
                if not seen_names:
                    seen_names = True
                    continue
                yield self._item(line, cells)
        except csv.Error as error:
            message = f"not CSV that can be read: {error}. Is a quotation mark not closed?"
            raise ImportProblem(begun + 1, "", message) from None

    def _fed(self) -> Iterator[str]:
        """The lines for the reader, blank ones too, as they may be part of a field."""
        with self.opened() as text:
            number = 0
            while line := text.readline(MAX_FIELD * 2):
                number += 1
                self.place = text.buffer.tell()
                if len(line) >= MAX_FIELD * 2:
                    message = f"has more than {MAX_FIELD * 2} characters, the most in one line of a table."
                    raise ImportProblem(number, "", message)
                yield line

    def _item(self, line: int, cells: list[str]) -> Item | Rejected:
        raw = self.delimiter.join(cells)
        if len(cells) != len(self.columns):
            why = f"{len(cells)} fields instead of {len(self.columns)}, one for each column."
            return rejected(line, "", why, raw)
        texts = (_NEUTRALISED.sub("", cell, count=1) if cell.startswith("'") else cell for cell in cells)
        given = {name: text for name, text in zip(self.columns, texts, strict=True) if name and text.strip()}
        return Item(line, unpacked(given), raw)


def dialect(path: Path, file: TextFile) -> tuple[str, list[str]]:
    """The delimiter that makes the first lines a table, and its columns' names.

    Where none does, the delimiter is empty. Raises ImportProblem for a table whose columns have no use.
    """
    with Lines(path, file).opened() as text:
        sample = text.read(SAMPLE)
    lines = sample.splitlines(keepends=True)
    if len(sample) == SAMPLE and len(lines) > 1:
        lines.pop()  # cut
    said = _SAID.fullmatch(lines[0]) if lines else None
    if said:
        lines.pop(0)
    best: tuple[float, int, str, list[str]] = (0.0, 0, "", [])
    for delimiter in said.group(1) if said else DELIMITERS:
        rows = [row for row in _rows(lines, delimiter) if any(cell.strip() for cell in row)]
        if not rows or (len(rows[0]) < 2 and not said):
            continue
        alike = sum(len(row) == len(rows[0]) for row in rows) / len(rows)
        if (alike, len(rows[0])) > best[:2]:
            best = alike, len(rows[0]), delimiter, [cell.strip() for cell in rows[0]]
    _, count, delimiter, columns = best
    if count > MAX_COLUMNS:
        raise ImportProblem(1, "", f"{count} columns; {MAX_COLUMNS} are the most.")
    repeated = sorted({name for name in columns if name and columns.count(name) > 1})
    if repeated:
        raise ImportProblem(1, "", f"two columns are named “{repeated[0][:40]}”.")
    return delimiter, columns


def _rows(lines: list[str], delimiter: str) -> list[list[str]]:
    rows = []
    try:
        for row in csv.reader(lines, delimiter=delimiter):
            rows.append(row)
    except csv.Error:
        return rows
    return rows


def _is_said(cells: list[str]) -> bool:
    return len(cells) <= 2 and cells[0].lower().startswith("sep=")
