"""What is wrong with a file as a whole. Single lines are rejected instead: `records.Rejected`."""

from __future__ import annotations


class ImportProblem(ValueError):
    """What is wrong with a file, and where: line 0 means the file as a whole."""

    def __init__(self, line: int, field: str, message: str) -> None:
        self.line, self.field, self.message = line, field, message
        place = f"Line {line}" + (f", {field}" if field else "") if line else "The file"
        super().__init__(f"{place}: {message}")


class UnknownForm(ImportProblem):
    """The file can be read, but what is in it are no tasks as far as can be told."""
