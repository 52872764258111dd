"""Files of lines, and JSON Lines among them: each line is an object."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from pathlib import Path

from annotator.prompts.containers.rows import MAX_CHARACTERS, Item
from annotator.prompts.encodings import TextFile
from annotator.prompts.records import Rejected, rejected


class Lines:
    """The lines of a text file, one by one; one that is too long is passed over without being held."""

    def __init__(self, path: Path, file: TextFile) -> None:
        self.path, self.codec = path, file.codec
        self.encoding = file.encoding
        self.total: int | None = file.lines
        self.size = max(1, path.stat().st_size)
        self.place = 0

    @property
    def share(self) -> float:
        """How much of the file has been read, from 0 to 1."""
        return min(1.0, self.place / self.size)

    def opened(self) -> io.TextIOWrapper[io.BufferedReader]:
        """The decoded text. Only LF ends a line: inside JSON and texts, U+2028 and the like do not."""
        return io.TextIOWrapper(self.path.open("rb"), self.codec, newline="\n")

    def lines(self) -> Iterator[tuple[int, str] | Rejected]:
        """The lines that are not blank, without their ends, and those that are too long."""
        number = 0
        with self.opened() as text:
            while line := text.readline(MAX_CHARACTERS + 1):
                number += 1
                self.place = text.buffer.tell()
                if len(line) > MAX_CHARACTERS:
                    yield rejected(number, "", _too_long(line, text), line)
                elif line.strip():
                    yield number, line.rstrip("\r\n")


class JsonLines(Lines):
    """A file in which every line is a JSON object."""

    kind = "jsonl"

    def items(self) -> Iterator[Item | Rejected]:
        """The objects from the beginning; a line that is none is rejected."""
        for line in self.lines():
            yield line if isinstance(line, Rejected) else parsed(*line)


def parsed(number: int, line: str) -> Item | Rejected:
    """The line as a JSON object, or why it is none."""
    try:
        row = json.loads(line)
    except json.JSONDecodeError as error:
        return rejected(number, "", f"not JSON: {error.msg} at character {error.pos + 1}.", line)
    except RecursionError:
        return rejected(number, "", "not JSON that can be read: it is nested too deep.", line)
    except ValueError as error:  # a number of thousands of digits
        return rejected(number, "", f"not JSON that can be read: {error}.", line)
    if not isinstance(row, dict):
        return rejected(number, "", "not a JSON object.", line)
    return Item(number, row, line)


def _too_long(line: str, text: io.TextIOWrapper) -> str:
    """Pass over the rest of the line; what is wrong with it."""
    length = len(line)
    while not line.endswith("\n") and (line := text.readline(MAX_CHARACTERS)):
        length += len(line)
    length -= line.endswith("\n")
    return f"has {length} characters; {MAX_CHARACTERS} are the most in one line."
