"""Folders that appear whole or not at all: written aside, flushed, then renamed into place."""

from __future__ import annotations

import errno
import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from safetensors import SafetensorError

STALE_SECONDS = 3600.0


class DiskFull(OSError):
    """There was no room to finish a folder; what stood there before is untouched."""


@contextmanager
def new_folder(target: Path, *, replace: bool = False) -> Iterator[Path]:
    """Give a folder to write into; it becomes `target` when the block ends without an error.

    Whoever reads sees the old state or the new one, also after kill -9 or a power cut. Raises
    FileExistsError if `target` is there already and may not be replaced, DiskFull if there is no room.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    _sweep(target)
    try:
        aside = Path(tempfile.mkdtemp(prefix=_prefix(target), dir=target.parent))
    except OSError as error:
        raise _clear(error, target) from error
    try:
        yield aside
        _flush(aside)
        _move(aside, target, replace=replace)
        _sync(target.parent)
    except (OSError, SafetensorError) as error:
        raise _clear(error, target) from error
    finally:
        shutil.rmtree(aside, ignore_errors=True)


def _move(aside: Path, target: Path, *, replace: bool) -> None:
    if target.exists():
        if not replace:
            raise FileExistsError(errno.EEXIST, "folder exists already", str(target))
        old = Path(tempfile.mkdtemp(prefix=_prefix(target), dir=target.parent))
        os.rename(target, old / "old")
        os.rename(aside, target)
        shutil.rmtree(old, ignore_errors=True)
    else:
        os.rename(aside, target)


def _flush(folder: Path) -> None:
    """To the disk, and readable as usual: mkdtemp and safetensors let only the owner in."""
    for path in [folder, *folder.rglob("*")]:
        path.chmod(0o755 if path.is_dir() else 0o644)
        _sync(path)


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _sweep(target: Path) -> None:
    """Remove what a killed process left aside; younger ones may belong to a process that still writes."""
    for path in target.parent.glob(f"{_prefix(target)}*"):
        if time.time() - path.stat().st_mtime > STALE_SECONDS:
            shutil.rmtree(path, ignore_errors=True)


def _prefix(target: Path) -> str:
    return f".{target.name}.part-"


def _clear(error: Exception, target: Path) -> Exception:
    """The same error, said clearly where it is a full disk (safetensors wraps it in a text)."""
    full = isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT)
    if full or "No space left" in str(error) or "os error 28" in str(error):
        return DiskFull(errno.ENOSPC, "the disk is full, nothing was saved", str(target))
    return error
