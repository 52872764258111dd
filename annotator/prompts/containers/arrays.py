"""A JSON array of objects, or objects one after another over several lines: read without holding the file."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

from annotator.prompts.containers.lines import Lines
from annotator.prompts.containers.rows import MAX_CHARACTERS, Item
from annotator.prompts.encodings import TextFile
from annotator.prompts.reading import ImportProblem
from annotator.prompts.records import Rejected, rejected

CHUNK = 1 << 16
WRAPPED = re.compile(r'\s*\{\s*"(data|records|rows|items|examples|train)"\s*:\s*\[')
"""The beginning of an object that only holds the array."""
_BETWEEN = re.compile(r"[\s,]*")
_DECODER = json.JSONDecoder()


class JsonArray(Lines):
    """An array's objects, numbered from 1; what is between them and after the array's end is passed over."""

    kind = "json"

    def __init__(self, path: Path, file: TextFile) -> None:
        super().__init__(path, file)
        self.total = None  # lines say nothing of how many there are

    def items(self) -> Iterator[Item | Rejected]:
        """The objects from the beginning.

        Raises ImportProblem at the first that is no JSON: there is no telling where the next would begin.
        """
        with self.opened() as text:
            buffer = _Buffer(text)
            is_array = _enter(buffer)
            number = 0
            while buffer.skip(_BETWEEN):
                if buffer.text.startswith("]", buffer.place):
                    if is_array:
                        return
                    raise ImportProblem(0, "", f"not JSON: a “]” too many after object {number}.")
                number += 1
                value, raw = buffer.value(number)
                self.place = text.buffer.tell()
                if isinstance(value, dict):
                    yield Item(number, value, raw)
                else:
                    yield rejected(number, "", "not a JSON object.", raw)
            if is_array:
                raise ImportProblem(0, "", f"it is cut off: the array does not end after object {number}.")


class _Buffer:
    """A window on the text: what has been read and not yet taken."""

    def __init__(self, file: IO[str]) -> None:
        self.file, self.text, self.place = file, "", 0

    def more(self, size: int = CHUNK) -> bool:
        """Read on; False at the end."""
        read = self.file.read(size)
        self.text, self.place = self.text[self.place :] + read, 0
        return bool(read)

    def skip(self, pattern: re.Pattern[str]) -> bool:
        """Pass over what matches; False if nothing is left."""
        while True:
            self.place = self._end(pattern)
            if self.place < len(self.text):
                return True
            if not self.more():
                return False

    def value(self, number: int) -> tuple[Any, str]:
        """The JSON value that begins here, and how it was written."""
        # A value that does not fit is read again with twice the window, so that nothing is read often.
        window = CHUNK
        while True:
            try:
                value, end = _DECODER.raw_decode(self.text, self.place)
            except RecursionError:
                raise ImportProblem(0, "", f"object {number} is nested too deep.") from None
            except json.JSONDecodeError as error:
                if len(self.text) - self.place > MAX_CHARACTERS:
                    message = f"object {number} has more than {MAX_CHARACTERS} characters, or is not JSON."
                    raise ImportProblem(0, "", f"{message} ({error.msg})") from None
                if not self.more(window):
                    where = f"object {number}, character {error.pos - self.place + 1}"
                    raise ImportProblem(0, "", f"not JSON: {error.msg} ({where}).") from None
                window = max(window, len(self.text))
                continue
            except ValueError as error:
                raise ImportProblem(0, "", f"object {number} cannot be read: {error}.") from None
            if end == len(self.text) and not isinstance(value, dict | list | str) and self.more():
                continue  # a number may go on
            raw = self.text[self.place : end][:1000]
            self.place = end
            return value, raw

    def _end(self, pattern: re.Pattern[str]) -> int:
        found = pattern.match(self.text, self.place)
        return found.end() if found else self.place


def _enter(buffer: _Buffer) -> bool:
    """Pass over what opens the array; whether there is one."""
    buffer.more()
    wrapped = WRAPPED.match(buffer.text)
    if wrapped:
        buffer.place = wrapped.end()
        return True
    buffer.skip(re.compile(r"\s*"))
    if buffer.text.startswith("[", buffer.place):
        buffer.place += 1
        return True
    return False
