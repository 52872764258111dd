"""Opening a file of tasks: its format and encoding are recognised by its content, its records are streamed.

with open_source(path, name) as source:
    for record in source.records():  # Record or Rejected, in the order of the file
        ...
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, replace
from io import BytesIO
from itertools import islice
from pathlib import Path
from types import TracebackType

from django.conf import settings

from annotator.prompts import formats, images
from annotator.prompts.containers import folders
from annotator.prompts.containers.archives import Archive, unpack_gzip
from annotator.prompts.containers.pairs import Pairs
from annotator.prompts.containers.recognising import container_of, packing
from annotator.prompts.containers.rows import MAX_ROWS, Container, Item
from annotator.prompts.fields import FieldProblem
from annotator.prompts.formats import Family
from annotator.prompts.reading import ImportProblem, UnknownForm
from annotator.prompts.records import Record, Rejected, rejected

LOOKED_AT = 20
"""Rows from which a file's family is recognised."""


@dataclass(frozen=True)
class _Part:
    """One table of a source: what people call it, its rows, and their family."""

    name: str
    container: Container
    family: Family


class Source:
    """An opened file. Close it, or use it in a `with` block: it may have unpacked something.

    `format` is a short name such as `jsonl-alpaca`; `encoding` is empty for binary formats; `total` is the
    number of lines or rows where it is known before they are read.
    """

    format: str
    encoding: str
    total: int | None

    def __init__(self, path: Path, name: str, *, answers: bool, check_images: bool, family: str) -> None:
        self._answers, self._check_images, self._family = answers, check_images, family
        self._archive: Archive | None = None
        self._done = 0
        with ExitStack() as stack:
            tables, self._packing = self._unpacked(path, name, stack)
            self._parts, self._passed_over = self._parts_of(tables)
            self._resources = stack.pop_all()
        first = self._parts[0]
        names = (self._packing, first.container.kind, first.family.name)
        self.format = "-".join(dict.fromkeys(part for part in names if part))[:32]
        self.encoding = first.container.encoding
        totals = [part.container.total for part in self._parts]
        self.total = None if None in totals else sum(total or 0 for total in totals)

    @property
    def share_read(self) -> float:
        """How much of the file has been read, from 0 to 1: for a progress bar, whatever the format."""
        current = self._parts[self._done].container.share if self._done < len(self._parts) else 0.0
        return min(1.0, (self._done + current) / len(self._parts))

    def records(self) -> Iterator[Record | Rejected]:
        """Every line or row as a record, or why it is none. May be called again to start anew.

        Raises ImportProblem where the file cannot be read any further.
        """
        read = 0
        self._done = 0
        yield from self._passed_over
        for part in self._parts:
            for item in part.container.items():
                read += 1
                if read > MAX_ROWS:
                    raise ImportProblem(0, "", f"it has more than {MAX_ROWS} tasks, the most in one file.")
                yield item if isinstance(item, Rejected) else self._record(part, item)
            self._done += 1

    def image(self, name: str) -> bytes:
        """The image of that name as it is in the zip, at most `images.MAX_BYTES`; see `images.pixels_of`.

        Raises KeyError if there is none.
        """
        if self._archive is None:
            raise KeyError(name)
        return self._archive.image(name)

    def close(self) -> None:
        """Remove what was unpacked."""
        self._resources.close()

    def __enter__(self) -> Source:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _unpacked(self, path: Path, name: str, stack: ExitStack) -> tuple[list[tuple[str, Path]], str]:
        """The tables with their names, and what they were packed in."""
        most = settings.IMPORT_MAX_BYTES
        if path.is_dir():
            return _folder(path, most), "dataset"
        _check_size(path.stat().st_size, most)
        packed = packing(path)
        if not packed:
            return [(name, path)], ""
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="import-")))
        if packed == "gzip":
            unpack_gzip(path, folder / "unpacked", most_bytes=most)
            return [(name, folder / "unpacked")], "gzip"
        self._archive = Archive(path, most_bytes=most)
        stack.callback(self._archive.close)
        members = list(self._archive.members)
        if "[Content_Types].xml" in members:
            raise ImportProblem(0, "", "it is an Office document. Save the table as CSV.")
        tables = []
        for place, member in enumerate(folders.table_names(members)):
            self._archive.unpack(member, folder / str(place))
            tables.append((member, folder / str(place)))
        states = [member for member in members if member.rpartition("/")[2] == "state.json"]
        for place, state in enumerate(states):
            self._archive.unpack(state, folder / f"state-{place}")
            tables = _only_listed(tables, state, folders.listed(folder / f"state-{place}"))
        if not tables:
            raise ImportProblem(
                0, "", "the zip has no table (CSV, JSON, JSON Lines, Parquet or Arrow) in it."
            )
        return tables, "dataset" if folders.is_dataset(members) else "zip"

    def _parts_of(self, tables: list[tuple[str, Path]]) -> tuple[list[_Part], list[Rejected]]:
        """The tables with tasks, and those without that lie beside them: manifests, statistics, notes."""
        parts: list[_Part] = []
        passed_over: list[tuple[str, UnknownForm]] = []
        for name, path in tables:
            try:
                parts.append(self._part(name, path))
            except UnknownForm as problem:
                passed_over.append((name, problem))
        if not parts:
            raise passed_over[0][1]
        return parts, [rejected(0, name[:80], problem.message, "") for name, problem in passed_over]

    def _part(self, name: str, path: Path) -> _Part:
        try:
            container = container_of(path)
            rows = [item.row for item in islice(container.items(), LOOKED_AT) if isinstance(item, Item)]
        except UnknownForm:
            raise
        except ImportProblem as problem:
            if self._archive is None:
                raise
            message = f"“{name[:80]}” in the zip: {problem.message}"
            raise ImportProblem(problem.line, problem.field, message) from None
        if isinstance(container, Pairs):
            return _Part(name, container, formats.PAIRS)
        family = formats.recognise(rows, answers=self._answers, name=self._family)
        if family is None:
            raise UnknownForm(0, "", _unknown(rows, container))
        return _Part(name, container, family)

    def _record(self, part: _Part, item: Item) -> Record | Rejected:
        try:
            record = part.family.read(item.line, item.row)
            if record.image:
                record = self._with_image(part, record)
        except FieldProblem as problem:
            return rejected(item.line, problem.field, problem.message, item.raw)
        return record

    def _with_image(self, part: _Part, record: Record) -> Record:
        """The record with its image's name in the zip. Raises FieldProblem if that is no image."""
        if self._archive is None:
            return replace(record, image="", image_text="", ignored=(*record.ignored, "image"))
        name = self._archive.find(record.image, part.name)
        if not name:
            raise FieldProblem("image", f"“{record.image[:80]}” is not in the zip.")
        if not record.image_text.strip():
            raise FieldProblem(
                "image_text", "is empty: say what the image shows, for those who cannot see it."
            )
        if self._check_images:
            try:
                images.pixels_of(BytesIO(self._archive.image(name)))
            except images.ImageProblem as problem:
                raise FieldProblem("image", f"“{record.image[:80]}”: {problem}") from None
        return replace(record, image=name)


def open_source(
    path: Path, name: str, *, answers: bool = False, check_images: bool = True, family: str = ""
) -> Source:
    """Open a file (or a dataset's folder) to read tasks from. `name` is what people call it.

    `answers` is for rows of instruction, input and output (Alpaca, seed tasks): their outputs are then the
    completions, of a task made of instruction and input; else their instruction is, of a task made of the
    input and output as an example. With `check_images`, an image is decoded when its row is read. `family` is
    the form of the rows where somebody knows better than their content tells (see `formats.families`).

    Raises ImportProblem for what is no file of tasks, is too large, or may do harm.
    """
    return Source(path, name, answers=answers, check_images=check_images, family=family)


def _folder(path: Path, most: int) -> list[tuple[str, Path]]:
    """The tables of a folder, by their paths within it."""
    files = {str(file.relative_to(path)): file for file in folders.files_of(path)}
    tables = [(name, files[name]) for name in folders.table_names(list(files))]
    for name in files:
        if name.rpartition("/")[2] == "state.json":
            tables = _only_listed(tables, name, folders.listed(files[name]))
    if not tables:
        raise ImportProblem(0, "", "the folder has no table (CSV, JSON, JSON Lines, Parquet or Arrow) in it.")
    _check_size(sum(file.stat().st_size for _, file in tables), most)
    return tables


def _only_listed(
    tables: list[tuple[str, Path]], state: str, names: set[str] | None
) -> list[tuple[str, Path]]:
    """The tables; in the state's own folder only those it lists, others are what programs left behind."""
    folder = state.rpartition("/")[0]
    return [
        (name, path)
        for name, path in tables
        if names is None or name.rpartition("/")[0] != folder or name.rpartition("/")[2] in names
    ]


def _check_size(size: int, most: int) -> None:
    if not size:
        raise ImportProblem(0, "", "it is empty.")
    if size > most:
        sizes = f"it has {size / 1024**2:.1f} MB; {most / 1024**2:.0f} MB are the most."
        raise ImportProblem(0, "", sizes)


def _unknown(rows: list[dict[str, object]], container: Container) -> str:
    if not rows:
        for item in islice(container.items(), 1):
            if isinstance(item, Rejected):
                return f"no line of it can be read. {item}"
        return "it has no rows."
    names = ", ".join(f"“{str(name)[:30]}”" for name in list(rows[0])[:10])
    return f"its rows are of no form that is known; their fields are {names}."
