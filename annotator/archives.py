"""A tar archive of files on the disk that is never written: its bytes are worked out as they are asked for.

Sizes are known, so any range of it can be sent, and a broken download of all files goes on as that of one.
"""

from __future__ import annotations

import io
import tarfile
from bisect import bisect_right
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

BLOCK = tarfile.BLOCKSIZE


@dataclass(frozen=True)
class Member:
    """A file and its name within the archive."""

    name: str
    path: Path
    bytes: int


class Tar:
    """The archive: its size, and its bytes from any place on. The same members give the same bytes."""

    def __init__(self, members: Iterable[Member], *, mtime: int) -> None:
        self._starts: list[int] = []
        self._parts: list[bytes | Path] = []
        self._lengths: list[int] = []
        self.size = 0
        for member in members:
            info = tarfile.TarInfo(member.name)
            info.size, info.mtime = member.bytes, mtime
            self._add(info.tobuf(tarfile.PAX_FORMAT), None)
            self._add(member.path, member.bytes)
            self._add(bytes(-member.bytes % BLOCK), None)
        self._add(bytes(2 * BLOCK), None)

    def open(self) -> BinaryIO:
        return io.BufferedReader(_Reader(self))

    def read_at(self, place: int, most: int) -> bytes:
        """Some bytes from this place on, at most so many; none at the end. Raises FileNotFoundError."""
        number = bisect_right(self._starts, place) - 1
        if place >= self.size:
            return b""
        part, offset = self._parts[number], place - self._starts[number]
        count = min(most, self._lengths[number] - offset)
        if isinstance(part, bytes):
            return part[offset : offset + count]
        with part.open("rb") as file:
            file.seek(offset)
            data = file.read(count)
        if not data:
            raise FileNotFoundError(f"{part} has become shorter")
        return data

    def _add(self, part: bytes | Path, length: int | None) -> None:
        count = len(part) if isinstance(part, bytes) else length or 0
        if count:  # an empty part would begin where the next one does
            self._starts.append(self.size)
            self._parts.append(part)
            self._lengths.append(count)
            self.size += count


class _Reader(io.RawIOBase):
    """A place in the archive, read from as a file is."""

    def __init__(self, tar: Tar) -> None:
        self._tar, self._place = tar, 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._place, io.SEEK_END: self._tar.size}[whence]
        self._place = base + offset
        return self._place

    def tell(self) -> int:
        return self._place

    def readinto(self, buffer: object) -> int:
        view = memoryview(buffer)  # type: ignore[arg-type]
        data = self._tar.read_at(self._place, len(view))
        view[: len(data)] = data
        self._place += len(data)
        return len(data)
