"""What kind of file it is, by its first bytes and lines; its ending is not looked at."""

from __future__ import annotations

from pathlib import Path

from annotator.prompts.containers.arrays import WRAPPED, JsonArray
from annotator.prompts.containers.columns import Columns
from annotator.prompts.containers.lines import JsonLines, Lines
from annotator.prompts.containers.pairs import Pairs
from annotator.prompts.containers.rows import Container
from annotator.prompts.containers.tables import NO_DELIMITER, Table, dialect
from annotator.prompts.encodings import TextFile, examine
from annotator.prompts.formats import knows
from annotator.prompts.reading import ImportProblem, UnknownForm

SAMPLE = 1 << 16
_OTHERS = (
    (b"%PDF", "it is a PDF."),
    (b"PK\x03\x04", "there is an archive within the archive. Unpack it first."),
    (b"\x1f\x8b", "there is an archive within the archive. Unpack it first."),
    (b"\xd0\xcf\x11\xe0", "it is an old Office document. Save it as CSV."),
    (b"7z\xbc\xaf", "it is a 7z archive. Unpack it, or pack it as a zip."),
    (b"Rar!", "it is a RAR archive. Unpack it, or pack it as a zip."),
    (b"BZh", "it is packed with bzip2. Unpack it, or pack it as a zip."),
    (b"\xfd7zXZ", "it is packed with xz. Unpack it, or pack it as a zip."),
    (b"\x28\xb5\x2f\xfd", "it is packed with zstd. Unpack it, or pack it as a zip."),
    (b"\x80\x02", "it is a pickle, which is never read: it may contain programs."),
    (b"\x80\x03", "it is a pickle, which is never read: it may contain programs."),
    (b"\x80\x04", "it is a pickle, which is never read: it may contain programs."),
    (b"\x80\x05", "it is a pickle, which is never read: it may contain programs."),
    (b"\x89PNG", "it is an image. Put it into a zip, with a table that describes it."),
    (b"\xff\xd8\xff", "it is an image. Put it into a zip, with a table that describes it."),
    (b"SQLite format 3", "it is an SQLite database."),
)


def packing(path: Path) -> str:
    """`zip`, `gzip`, or empty for what is not packed."""
    start = _start(path, 4)
    if start.startswith((b"PK\x03\x04", b"PK\x05\x06")):
        return "zip"
    return "gzip" if start.startswith(b"\x1f\x8b") else ""


def container_of(path: Path) -> Container:
    """The file's rows. Raises ImportProblem for what holds none that can be read."""
    start = _start(path, 16)
    for magic, message in _OTHERS:
        if start.startswith(magic):
            raise ImportProblem(0, "", message)
    if start.startswith(b"PAR1"):
        return Columns(path, "parquet")
    if start.startswith((b"ARROW1", b"\xff\xff\xff\xff")):
        return Columns(path, "arrow")
    file = examine(path)
    with Lines(path, file).opened() as text:
        sample = text.read(SAMPLE)
    begun = sample.lstrip()
    first = begun.partition("\n")[0]
    number = sample[: len(sample) - len(begun)].count("\n") + 1
    if begun.startswith("[") or WRAPPED.match(begun):
        return JsonArray(path, file)
    if begun.startswith("{"):
        return JsonLines(path, file) if _in_lines(begun) else JsonArray(path, file)
    if not begun:
        raise ImportProblem(0, "", "it is empty.")
    return _table(path, file, first, number)


def _table(path: Path, file: TextFile, first: str, number: int) -> Container:
    delimiter, columns = dialect(path, file)
    is_known = knows(columns)
    if is_known and not (delimiter == "\t" and Pairs.names_both(first)):
        return Table(path, file, delimiter, columns)
    if "\t" in first:
        return Pairs(path, file)
    if knows([first.strip()]):
        return Table(path, file, NO_DELIMITER, [first.strip()])
    if delimiter and len(columns) > 1:
        shown = ", ".join(f"“{name[:30]}”" for name in columns[:8])
        message = f"no column is named like a task (text, task, prompt, …): {shown}."
        raise UnknownForm(number, "", message)
    message = (
        "neither JSON, nor a table with the columns' names, nor an instruction and a task with a tab between."
    )
    raise UnknownForm(number, "", message)


def _in_lines(begun: str) -> bool:
    """Whether objects stand in a line each, damaged ones among them; else one goes on over several lines."""
    lines = begun.split("\n")[:20]
    if any(line.startswith("{") and line.rstrip().endswith("}") for line in lines):
        return True
    return len(lines) == 1 or (lines[0].strip() != "{" and lines[1].startswith("{"))


def _start(path: Path, size: int) -> bytes:
    with path.open("rb") as file:
        return file.read(size)
