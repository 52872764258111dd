"""Zips: what is in them is looked through before anything is unpacked, and unpacked within limits.

Refused as a whole: paths that lead out of the folder, links, what is encrypted or packed in unusual ways,
other archives within, more files or more bytes than allowed, and what unpacks to very much more than it has.
"""

from __future__ import annotations

import stat
import struct
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import IO

from annotator.prompts import images
from annotator.prompts.reading import ImportProblem

MAX_FILES = 50_000
MAX_DIRECTORY = 16 * 1024 * 1024
"""Bytes of the list of contents, which is held in memory."""
MAX_TIMES = 8
"""How many times the largest file that may be imported all that is unpacked may have."""
MAX_RATIO = 200
"""A file of more than SMALL bytes may be packed no tighter than this."""
SMALL = 1024 * 1024
ARCHIVES = (".zip", ".gz", ".tgz", ".bz2", ".xz", ".zst", ".7z", ".rar", ".tar", ".jar", ".whl")
JUNK = ("__MACOSX/", ".DS_Store", "Thumbs.db", "desktop.ini")
PICTURES = (".png", ".jpg", ".jpeg", ".webp")
_END = struct.Struct("<4s4H2LH")
_DAMAGED = (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError)


class Archive:
    """An opened zip whose list of contents has been found harmless."""

    def __init__(self, path: Path, *, most_bytes: int) -> None:
        """`most_bytes` may be imported unpacked. Raises ImportProblem for what may do harm."""
        self.most_bytes = most_bytes
        _look_at_end(path)
        try:
            self.zip = zipfile.ZipFile(path)
        except (*_DAMAGED, ValueError, OSError) as error:
            raise ImportProblem(0, "", f"it is a damaged zip: {error}") from None
        self.members = {
            info.filename: info
            for info in self.zip.infolist()
            if not info.is_dir() and not any(junk in info.filename for junk in JUNK)
        }
        try:
            self._check(path)
        except ImportProblem:
            self.close()
            raise

    def close(self) -> None:
        """Close the file."""
        self.zip.close()

    def unpack(self, name: str, target: Path) -> None:
        """Write a member to a file of its own. Raises ImportProblem if it is not what the list says."""
        info = self.members[name]
        left = info.file_size
        with self._opened(info) as packed, target.open("wb") as file:
            for chunk in self._chunks(packed, info):
                left -= len(chunk)
                if left < 0:
                    raise ImportProblem(0, "", f"it is a damaged zip: {_shown(name)} is larger than it says.")
                file.write(chunk)

    def image(self, name: str) -> bytes:
        """A picture's bytes, at most images.MAX_BYTES and one. Raises KeyError where there is none."""
        info = self.members[name]
        with self._opened(info) as packed:
            try:
                return packed.read(images.MAX_BYTES + 1)
            except _DAMAGED as error:
                raise ImportProblem(0, "", f"it is a damaged zip: {_shown(name)}: {error}") from None

    def find(self, named: str, table: str) -> str:
        """The member that a cell means: beside its table, from the top, or alone of its name; else ""."""
        wanted = named.strip().replace("\\", "/").removeprefix("./")
        beside = str(PurePosixPath(table).parent / wanted)
        for name in (beside, wanted):
            if name in self.members:
                return name
        alike = [name for name in self._pictures() if name.rpartition("/")[2] == wanted.rpartition("/")[2]]
        return alike[0] if len(alike) == 1 and "/" not in wanted else ""

    def _pictures(self) -> Iterator[str]:
        return (name for name in self.members if name.lower().endswith(PICTURES))

    def _check(self, path: Path) -> None:
        """Raises ImportProblem for what may do harm."""
        infos = self.zip.infolist()
        if len(infos) > MAX_FILES:
            raise ImportProblem(0, "", f"the zip has {len(infos)} files; {MAX_FILES} are the most.")
        if len({info.filename for info in infos}) < len(infos):
            raise ImportProblem(0, "", "the zip has two files of one name.")
        for info in infos:
            _check_member(info)
        if sum(info.compress_size for info in infos) > path.stat().st_size:
            raise ImportProblem(0, "", "the zip's files overlap, as in a zip bomb.")
        unpacked = sum(info.file_size for info in infos)
        most = MAX_TIMES * self.most_bytes
        if unpacked > most:
            sizes = f"{unpacked / 1024**2:.0f} MB unpacked; {most / 1024**2:.0f} MB are the most."
            raise ImportProblem(0, "", f"the zip has {sizes}")

    def _opened(self, info: zipfile.ZipInfo) -> IO[bytes]:
        try:
            return self.zip.open(info)
        except (*_DAMAGED, OSError) as error:
            message = f"it is a damaged zip: {_shown(info.filename)}: {error}"
            raise ImportProblem(0, "", message) from None

    def _chunks(self, packed: IO[bytes], info: zipfile.ZipInfo) -> Iterator[bytes]:
        try:
            while chunk := packed.read(1 << 18):
                yield chunk
        except (*_DAMAGED, OSError) as error:
            message = f"it is a damaged zip: {_shown(info.filename)}: {error}"
            raise ImportProblem(0, "", message) from None


def unpack_gzip(path: Path, target: Path, *, most_bytes: int) -> None:
    """Unpack a file of gzip. Raises ImportProblem if it is damaged, or unpacks to too much."""
    most = MAX_TIMES * most_bytes
    decoder = zlib.decompressobj(wbits=31)
    size = 0
    with path.open("rb") as packed, target.open("wb") as file:
        try:
            while rest := decoder.unconsumed_tail or packed.read(1 << 16):
                chunk = decoder.decompress(rest, 1 << 20)
                size += len(chunk)
                if size > most or (size > SMALL and size > MAX_RATIO * packed.tell()):
                    message = (
                        f"it unpacks to more than {most / 1024**2:.0f} MB, or {MAX_RATIO} times its size."
                    )
                    raise ImportProblem(0, "", message)
                file.write(chunk)
                if decoder.eof:  # another member may follow
                    packed.seek(packed.tell() - len(decoder.unused_data))
                    decoder = zlib.decompressobj(wbits=31)
        except zlib.error as error:
            raise ImportProblem(0, "", f"it is damaged gzip: {error}") from None
    if not target.stat().st_size:
        raise ImportProblem(0, "", "it is empty.")


def _look_at_end(path: Path) -> None:
    """How long the list of contents is, before it is read into memory."""
    size = path.stat().st_size
    with path.open("rb") as file:
        file.seek(max(0, size - 65_557 - 20))
        tail = file.read()
    place = tail.rfind(b"PK\x05\x06")
    if place < 0 or len(tail) - place < _END.size:
        raise ImportProblem(0, "", "it is a damaged zip: it has no list of contents.")
    _, _, _, _, count, directory, _, _ = _END.unpack_from(tail, place)
    if count > MAX_FILES or directory > MAX_DIRECTORY or b"PK\x06\x07" in tail[max(0, place - 20) : place]:
        raise ImportProblem(0, "", f"the zip has too many files; {MAX_FILES} are the most.")


def _check_member(info: zipfile.ZipInfo) -> None:
    # What the zip says, and not what zipfile has made of it: it cuts names at NUL.
    name = info.orig_filename
    shown = _shown(name)
    path = PurePosixPath(name.replace("\\", "/"))
    if "\x00" in name or path.is_absolute() or ".." in path.parts or name[1:2] == ":":
        raise ImportProblem(0, "", f"the zip has the path {shown}, which leads out of it.")
    if stat.S_IFMT(info.external_attr >> 16) not in (0, stat.S_IFREG, stat.S_IFDIR):
        raise ImportProblem(0, "", f"{shown} in the zip is a link or a device.")
    if info.flag_bits & 0x1:
        raise ImportProblem(0, "", f"{shown} in the zip is encrypted.")
    if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise ImportProblem(0, "", f"{shown} in the zip is packed by a method other than deflate.")
    if name.lower().endswith(ARCHIVES):
        raise ImportProblem(0, "", f"{shown} in the zip is an archive again. Unpack it first.")
    if info.file_size > SMALL and info.file_size > MAX_RATIO * max(1, info.compress_size):
        raise ImportProblem(0, "", f"{shown} unpacks to more than {MAX_RATIO} times its size, as a zip bomb.")


def _shown(name: str) -> str:
    return "“" + "".join(c if c.isprintable() else "�" for c in name[:80]) + "”"
