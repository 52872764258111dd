"""Makes an export: a folder of data files and what describes them, or a stream of one file's bytes."""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Callable, Collection, Iterator
from contextlib import ExitStack, closing
from itertools import chain, groupby, islice
from pathlib import Path

from django.utils.translation import gettext as _

from annotator.exports import checking, files
from annotator.exports.card import card
from annotator.exports.checking import InvalidRequest
from annotator.exports.croissant import croissant
from annotator.exports.formats import FORMATS
from annotator.exports.formats.base import How, Line
from annotator.exports.manifest import DataFile, Manifest, Tally, manifest_of
from annotator.exports.reading import Reader, Task
from annotator.exports.recipe import Recipe
from annotator.exports.selection import SPLITS, Frozen
from annotator.models import Project, Ranking

LINES = 100
"""So many lines are encoded together."""
REPORT = 1000
"""So many judgments are read between two reports of progress."""

Report = Callable[[int], None]
"""Called with the judgments read so far; what it raises ends the export, and nothing stays of it."""


class NothingToExport(ValueError):
    """The recipe takes no line from this project."""


def write_export(
    project: Project,
    recipe: Recipe,
    *,
    frozen: Frozen,
    folder: Path,
    withdrawn: Collection[int] | None = None,
    report: Report | None = None,
) -> Manifest:
    """Write the export into a folder that is not there yet; it appears when it is whole.

    `withdrawn` are the ids of the annotators whose judgments are left out; None: of all who have withdrawn
    as of now. The same recipe, frozen state and
    withdrawals give the same bytes. Raises NothingToExport, FileExistsError, OSError.
    """
    if folder.exists():
        raise FileExistsError(f"{folder} is there already")
    folder.parent.mkdir(parents=True, exist_ok=True)
    aside = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", dir=folder.parent))
    try:
        manifest = _write(project, recipe, frozen, aside, withdrawn, report)
        aside.chmod(0o755)
        aside.rename(folder)
    except BaseException:
        shutil.rmtree(aside, ignore_errors=True)
        raise
    return manifest


def stream(
    project: Project,
    recipe: Recipe,
    *,
    frozen: Frozen | None = None,
    withdrawn: Collection[int] | None = None,
) -> Iterator[bytes]:
    """The lines of all splits as one plain file, JSON Lines or CSV, a block at a time.

    `frozen` is now unless it is given. Raises InvalidRequest at once for Parquet and gzip, which are files.
    """
    checking.choice("file_type", recipe.file_type, files.ENCODERS)
    if recipe.gzip:
        raise InvalidRequest("gzip", _("A stream is not compressed."))
    return encoded(
        recipe, Reader(project, recipe.selection, frozen or Frozen.now(project), withdrawn), Tally()
    )


def encoded(recipe: Recipe, reader: Reader, tally: Tally) -> Iterator[bytes]:
    """The same, of what a reader gives, counted on the way."""
    encoder = files.ENCODERS[recipe.file_type](FORMATS[recipe.format].columns)
    if header := encoder.header():
        yield header
    found = lines_of(recipe, reader)
    while chunk := list(islice(found, LINES)):
        for task, line in chunk:
            tally.add(task, line)
        yield encoder.encode([line.row for _task, line in chunk])
    if footer := encoder.footer():
        yield footer


def lines_of(recipe: Recipe, reader: Reader) -> Iterator[tuple[Task, Line]]:
    """The export's lines, each with the prompt that it belongs to."""
    form = FORMATS[recipe.format]
    how = How(reader, recipe.rule)
    for _prompt, comparisons in groupby(reader, key=lambda judged: judged.task.pk):
        first = next(comparisons)
        for line in form.lines(chain((first,), comparisons), how):
            yield first.task, line


def judgments_up_to(project: Project, frozen: Frozen) -> int:
    """How many judgments there are to read: what `report` counts up to, where nothing is filtered."""
    return Ranking.objects.filter(comparison__project=project, pk__lte=frozen.last_ranking).count()


class _Part:
    """One split's file and what is in it."""

    def __init__(self, folder: Path, recipe: Recipe, split: str) -> None:
        self.split = split
        self.path = f"data/{split}{files.suffix(recipe.file_type, compress=recipe.gzip)}"
        columns = FORMATS[recipe.format].columns
        (folder / "data").mkdir(exist_ok=True)
        self.writer = files.Writer(
            folder / self.path, columns, file_type=recipe.file_type, compress=recipe.gzip
        )
        self.tally = Tally()
        self._waiting: list[Line] = []

    def add(self, task: Task, line: Line) -> None:
        self.tally.add(task, line)
        self._waiting.append(line)
        if len(self._waiting) >= LINES:
            self._encode()

    def close(self) -> None:
        self._encode()
        self.writer.close()

    def describe(self) -> DataFile:
        file = self.writer.file
        return DataFile(self.path, self.split, self.tally.counts["lines"], file.bytes, file.sha256)

    def _encode(self) -> None:
        self.writer.add([line.row for line in self._waiting])
        self._waiting = []


def _write(
    project: Project,
    recipe: Recipe,
    frozen: Frozen,
    folder: Path,
    withdrawn: Collection[int] | None,
    report: Report | None,
) -> Manifest:
    reader = Reader(project, recipe.selection, frozen, withdrawn)
    parts: dict[str, _Part] = {}
    reported = 0
    with ExitStack() as stack:
        for task, line in lines_of(recipe, reader):
            split = recipe.splits.split_of(task.hash, is_held_out=task.is_held_out)
            part = parts.get(split)
            if part is None:
                part = parts[split] = stack.enter_context(closing(_Part(folder, recipe, split)))
            part.add(task, line)
            if report is not None and reader.read - reported >= REPORT:
                reported = reader.read
                report(reported)
    if not parts:
        raise NothingToExport(f"{project.slug} has nothing that this export would take.")
    found = [parts[split] for split in SPLITS if split in parts]
    manifest = _manifest(recipe, reader, found)
    form = FORMATS[recipe.format]
    for name, text in {
        "manifest.json": manifest.to_json(),
        "README.md": card(manifest, form),
        "croissant.json": _json(croissant(manifest, form)),
        **{name: _json(value) for name, value in form.extra_files(manifest).items()},
    }.items():
        (folder / name).write_text(text, encoding="utf-8", newline="\n")
    if report is not None:
        report(reader.read)
    return manifest


def _manifest(recipe: Recipe, reader: Reader, parts: list[_Part]) -> Manifest:
    whole = Tally()
    for part in parts:
        whole.take(part.tally)
    splits = {part.split: part.tally.figures() for part in parts}
    return manifest_of(recipe, reader, whole, tuple(part.describe() for part in parts), splits)


def _json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, indent=2) + "\n"
