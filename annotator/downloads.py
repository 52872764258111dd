"""Files sent so that a broken download goes on where it broke: HTTP ranges (RFC 9110, section 14).

One range a request; more than one is answered by the whole file, as the standard allows. The entity tag is
made of SHA-256, a strong one, so a client that resumes with If-Range never glues two files together.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Protocol
from urllib.parse import quote

from django.http import HttpRequest, HttpResponse, HttpResponseNotModified, StreamingHttpResponse
from django.http.response import HttpResponseBase

BLOCK = 64 * 1024
_RANGE = re.compile(r"bytes=\s*([0-9]{0,18})\s*-\s*([0-9]{0,18})\s*")


class Source(Protocol):
    """What can be sent: so many bytes, readable from any place on."""

    @property
    def size(self) -> int: ...

    def open(self) -> BinaryIO: ...


@dataclass(frozen=True)
class OnDisk:
    """A file."""

    path: Path

    @property
    def size(self) -> int:
        return self.path.stat().st_size

    def open(self) -> BinaryIO:
        return self.path.open("rb")


class Unsatisfiable(ValueError):
    """The range begins behind the file's end."""


def send(
    request: HttpRequest, source: Source, *, name: str, sha256: str, content_type: str
) -> HttpResponseBase:
    """The whole of it, or the range that was asked for, a block at a time.

    Raises FileNotFoundError before anything is sent where a file is gone.
    """
    size = source.size
    tag = f'"{sha256}"'
    headers = {
        "Accept-Ranges": "bytes",
        "ETag": tag,
        # Neither changed on its way (no-transform) nor kept by a shared cache: permission is asked each time.
        "Cache-Control": "private, no-cache, no-transform",
        "Content-Disposition": f"attachment; filename=\"{ascii_name(name)}\"; filename*=UTF-8''{quote(name)}",
    }
    if is_known(request.headers.get("If-None-Match", ""), tag):
        return HttpResponseNotModified(headers=headers)
    try:
        wanted = wanted_range(request, size, tag)
    except Unsatisfiable:
        return HttpResponse(
            status=416, content_type=content_type, headers={**headers, "Content-Range": f"bytes */{size}"}
        )
    first, last = wanted or (0, size - 1)
    headers["Content-Length"] = str(last - first + 1)
    if wanted:
        headers["Content-Range"] = f"bytes {first}-{last}/{size}"
    status = 206 if wanted else 200
    if request.method == "HEAD":
        return HttpResponse(status=status, content_type=content_type, headers=headers)
    return StreamingHttpResponse(
        _Blocks(source.open(), first, last - first + 1),
        status=status,
        content_type=content_type,
        headers=headers,
    )


def wanted_range(request: HttpRequest, size: int, tag: str) -> tuple[int, int] | None:
    """The first and the last byte asked for; None: the whole file. Raises Unsatisfiable.

    What is no single range of bytes is ignored, and so is a range of another file's (If-Range): dates are
    no strong validators and count as another's.
    """
    if request.method != "GET" or request.headers.get("If-Range", tag) != tag:
        return None
    found = _RANGE.fullmatch(request.headers.get("Range", ""))
    if found is None:
        return None
    begin, end = found.groups()
    if not begin and not end:
        return None
    if not begin:  # the last so many bytes
        if int(end) == 0 or size == 0:
            raise Unsatisfiable
        return max(0, size - int(end)), size - 1
    if end and int(end) < int(begin):
        return None
    if int(begin) >= size:
        raise Unsatisfiable
    return int(begin), min(int(end), size - 1) if end else size - 1


def is_known(header: str, tag: str) -> bool:
    """Whether If-None-Match names the tag; weak comparison, as it is to be there."""
    known = (one.strip().removeprefix("W/") for one in header.split(","))
    return any(one in (tag, "*") for one in known)


def ascii_name(name: str) -> str:
    """The name for clients that do not read the encoded one."""
    return re.sub(r'[^\x20-\x7e]|["\\]', "_", name)


class _Blocks:
    """So many bytes of an open file from a place on, a block at a time; closes it, also when broken off."""

    def __init__(self, file: BinaryIO, start: int, length: int) -> None:
        self.file, self.left = file, length
        file.seek(start)

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        data = self.file.read(min(BLOCK, self.left))
        if not data:
            self.close()
            raise StopIteration
        self.left -= len(data)
        return data

    def close(self) -> None:
        self.file.close()
