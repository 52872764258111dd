"""Opening a file of tasks: its format and encoding are recognised by its content, its records are streamed.

    with open_source(path, name) as source:
        for record in source.records():  # Record or Rejected, in the order of the file
            ...
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from types import TracebackType

from annotator.prompts import reading
from annotator.prompts.fields import FieldProblem
from annotator.prompts.formats import own, pairs
from annotator.prompts.reading import ImportProblem
from annotator.prompts.records import Record, Rejected, rejected


class Source:
    """An opened file. Close it, or use it in a `with` block: it may have unpacked something.

    `format` is a short name such as `jsonl-alpaca`; `encoding` is empty for binary formats; `total` is the
    number of lines or rows where it is known before they are read.
    """

    format: str
    encoding: str
    total: int | None

    def __init__(self, path: Path, name: str, *, answers: bool) -> None:
        self.encoding = "utf-8"
        self._lines = reading.split_lines(reading.decode(path.read_bytes()))
        self._kind = reading.recognise(self._lines)
        self.format = "tsv" if self._kind == "tsv" else "jsonl-tasks"
        self.total = len(self._lines)
        self._read = 0

    @property
    def share_read(self) -> float:
        """How much of the file has been read, from 0 to 1: for a progress bar, whatever the format."""
        return self._read / max(1, self.total or 0)

    def records(self) -> Iterator[Record | Rejected]:
        """Every line or row as a record, or why it is none. May be called again to start anew.

        Raises ImportProblem where the file cannot be read any further.
        """
        lines = self._lines
        task_first = False
        self._read = 0
        if self._kind == "tsv":
            try:
                has_header, task_first = pairs.header(lines[0][1])
            except FieldProblem as problem:
                raise ImportProblem(lines[0][0], problem.field, problem.message) from None
            lines = lines[has_header:]
        for number, line in lines:
            self._read += 1
            try:
                if self._kind == "tsv":
                    yield pairs.read(number, line, task_first=task_first)
                else:
                    yield own.read(number, reading.parse(number, line))
            except (FieldProblem, ImportProblem) as problem:
                yield rejected(number, problem.field, problem.message, line)

    def image(self, name: str) -> bytes:
        """The image of that name as it is in the zip, no larger than `images.MAX_BYTES`; see `images.pixels_of`.

        Raises KeyError if there is none.
        """
        raise KeyError(name)

    def close(self) -> None:
        """Remove what was unpacked."""

    def __enter__(self) -> Source:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def open_source(path: Path, name: str, *, answers: bool = False) -> Source:
    """Open a file (or a dataset's folder) to read tasks from. `name` is what people call it.

    `answers` is for rows of instruction, input and output (Alpaca, seed tasks): their outputs are then the
    completions, of a task made of instruction and input; else their instruction is, of a task made of the
    input and output as an example.

    Raises ImportProblem for what is no file of tasks, is too large, or may do harm.
    """
    return Source(path, name, answers=answers)
