"""The encoding of a text file, found out from all of its bytes: UTF-8, UTF-16 or GB18030."""

from __future__ import annotations

import codecs
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from annotator.prompts.reading import ImportProblem

CHUNK = 1 << 20
_MARKS = ((codecs.BOM_UTF8, "utf-8-sig"), (codecs.BOM_UTF16_LE, "utf-16"), (codecs.BOM_UTF16_BE, "utf-16"))
_SHOWN = {"utf-8-sig": "utf-8", "utf-16": "utf-16"}
JUDGED = 20_000
"""Characters beyond ASCII that are looked at to tell whether a file is Chinese."""
LIKELY = 0.7
"""The share of them that must be common in Chinese."""


@dataclass(frozen=True)
class TextFile:
    """What was found out about a file: `codec` decodes it, `lines` is the number of its lines."""

    codec: str
    lines: int

    @property
    def encoding(self) -> str:
        """The codec's name, byte order mark aside."""
        return _SHOWN.get(self.codec, self.codec)


def examine(path: Path) -> TextFile:
    """Read all of the file once. Raises ImportProblem if it is empty or in no encoding that is known."""
    with path.open("rb") as file:
        sample = file.read(4096)
    if not sample.strip(b"\xef\xbb\xbf\xff\xfe\x00 \r\n\t") and path.stat().st_size <= len(sample):
        raise ImportProblem(0, "", "it is empty.")
    codec = next((codec for mark, codec in _MARKS if sample.startswith(mark)), None) or _without_mark(sample)
    try:
        return TextFile(codec, _lines(path, codec))
    except UnicodeDecodeError as error:
        if not codec.startswith("utf-8"):
            raise ImportProblem(0, "", f"it is damaged: it says it is {codec.upper()} and is not.") from None
        problem = error
    if codec == "utf-8" and _is_gb18030(path):
        return TextFile("gb18030", _lines(path, "gb18030"))
    message = (
        f"byte 0x{problem.object[problem.start]:02x} is not UTF-8, and the file is not UTF-16 or GB18030 "
        "either. Save it as UTF-8 and import it again."
    )
    raise ImportProblem(_line_of_first_error(path), "", message)


def _without_mark(sample: bytes) -> str:
    """UTF-16 without a mark has many zeros in places of one parity: line ends, ASCII, the signs of JSON."""
    half = max(1, len(sample) // 2)
    if sample[1::2].count(0) > 0.2 * half:
        return "utf-16-le"
    if sample[0::2].count(0) > 0.2 * half:
        return "utf-16-be"
    return "utf-8"


def _chunks(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        while chunk := file.read(CHUNK):
            yield chunk


def _lines(path: Path, codec: str) -> int:
    """The number of lines; raises UnicodeDecodeError."""
    decoder = codecs.getincrementaldecoder(codec)()
    lines, last = 0, ""
    for chunk in _chunks(path):
        text = decoder.decode(chunk)
        lines += text.count("\n")
        last = text[-1:] or last
    decoder.decode(b"", final=True)
    return lines + (last != "\n")


def _is_gb18030(path: Path) -> bool:
    """Whether all of it decodes, and what is not ASCII in it is mostly what Chinese is written with.

    Bytes of other encodings often decode, but to characters that nobody writes: the common ones and the
    punctuation are those of GB 2312's first level, rows B0 to D7 and A1 to A3.
    """
    decoder = codecs.getincrementaldecoder("gb18030")()
    seen = likely = 0
    try:
        for chunk in _chunks(path):
            text = decoder.decode(chunk)
            for character in text if seen < JUDGED and not text.isascii() else "":
                if character > "\x7f":
                    seen += 1
                    encoded = character.encode("gb2312", "ignore")
                    likely += bool(encoded) and (0xB0 <= encoded[0] <= 0xD7 or encoded[0] <= 0xA3)
        decoder.decode(b"", final=True)
    except UnicodeDecodeError:
        return False
    return likely >= LIKELY * seen


def _line_of_first_error(path: Path) -> int:
    decoder = codecs.getincrementaldecoder("utf-8")()
    lines = 1
    for chunk in _chunks(path):
        pending = decoder.getstate()[0]
        try:
            decoder.decode(chunk)
        except UnicodeDecodeError as error:
            return lines + (pending + chunk).count(b"\n", 0, error.start)
        lines += chunk.count(b"\n")
    return lines
