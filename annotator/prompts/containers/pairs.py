"""Lines of an instruction, a tab and a task: see `formats.pairs`."""

from __future__ import annotations

from collections.abc import Iterator

from annotator.prompts.containers.lines import Lines
from annotator.prompts.containers.rows import Item
from annotator.prompts.fields import FieldProblem
from annotator.prompts.formats import pairs
from annotator.prompts.reading import ImportProblem
from annotator.prompts.records import Rejected, rejected


class Pairs(Lines):
    """A file of pairs; each comes as a row of `task` and `instruction`."""

    kind = "tsv"

    @staticmethod
    def names_both(first: str) -> bool:
        """Whether a first line names the two columns, rightly or not."""
        try:
            return pairs.header(first)[0]
        except FieldProblem:
            return True

    def items(self) -> Iterator[Item | Rejected]:
        """The pairs from the beginning. Raises ImportProblem if the first line names two of a kind."""
        task_first, is_first = False, True
        for line in self.lines():
            if isinstance(line, Rejected):
                yield line
                continue
            number, content = line
            if is_first:
                is_first = False
                try:
                    has_header, task_first = pairs.header(content)
                except FieldProblem as problem:
                    raise ImportProblem(number, problem.field, problem.message) from None
                if has_header:
                    continue
            try:
                yield Item(number, pairs.row(content, task_first=task_first), content)
            except FieldProblem as problem:
                yield rejected(number, problem.field, problem.message, content)
