"""Parquet and Arrow files, unpacked by a process of its own that is held to a limit of memory."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from annotator.prompts.containers.lines import parsed
from annotator.prompts.containers.rows import MAX_CHARACTERS, MAX_ROWS, Item
from annotator.prompts.reading import ImportProblem
from annotator.prompts.records import Rejected, rejected

CHILD = Path(__file__).with_name("columns_child.py")
MAX_MEMORY = 1 << 30
"""Address space of the process, in bytes."""
MAX_BYTES = 1 << 29
"""Of the rows as lines of JSON."""


class Columns:
    """A Parquet or Arrow file; `kind` says which."""

    encoding = ""

    def __init__(self, path: Path, kind: str) -> None:
        self.path, self.kind = path, kind
        self.total: int | None = None
        self.read = 0
        for _ in self._lines():  # how many there are, and whether it can be read at all
            break

    @property
    def share(self) -> float:
        """How much has been read, from 0 to 1; 0 where the file does not say how many rows it has."""
        return min(1.0, self.read / self.total) if self.total else 0.0

    def items(self) -> Iterator[Item | Rejected]:
        """The rows from the beginning. Raises ImportProblem where the file is at fault."""
        self.read = 0
        for line in self._lines():
            self.read += 1
            if isinstance(line, Rejected):
                yield line
            else:
                yield parsed(self.read, line)

    def _lines(self) -> Iterator[str | Rejected]:
        command = [
            sys.executable, "-I", str(CHILD), self.kind, str(self.path), str(MAX_ROWS), str(MAX_MEMORY)
        ]  # fmt: skip
        with subprocess.Popen(  # noqa: S603  # our own program and a path that is ours
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            encoding="utf-8",
            errors="replace",
        ) as process:
            try:
                yield from self._written(process)
            finally:
                process.kill()  # if nobody reads on, or something was wrong

    def _written(self, process: subprocess.Popen[str]) -> Iterator[str | Rejected]:
        if process.stdout is None or process.stderr is None:
            raise RuntimeError("the process has no pipes")
        first = process.stdout.readline(MAX_CHARACTERS)
        if first:
            self.total = json.loads(first)["rows"]
            yield from _within(process.stdout)
        if process.wait() != 0:
            said = process.stderr.read(1000).strip()
            known = process.returncode == 3 and said
            why = said if known else "it cannot be unpacked: it is damaged, or takes more memory than it may."
            raise ImportProblem(0, "", why)


def _within(file: IO[str]) -> Iterator[str | Rejected]:
    """The lines; one that is too long is passed over."""
    number = size = 0
    while line := file.readline(MAX_CHARACTERS + 1):
        number += 1
        size += len(line)
        start = line
        while not line.endswith("\n") and (line := file.readline(MAX_CHARACTERS)):
            size += len(line)
            if size > MAX_BYTES:
                break
        if size > MAX_BYTES:
            message = f"its rows have more than {MAX_BYTES // 1024**2} MB once they are unpacked."
            raise ImportProblem(0, "", message)
        if len(start) > MAX_CHARACTERS:
            why = f"has more than {MAX_CHARACTERS} characters, the most in one row."
            yield rejected(number, "", why, start)
        else:
            yield start
