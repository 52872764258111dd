"""Folders that appear whole or not at all."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from safetensors import SafetensorError

from rlhf.lm.folders import STALE_SECONDS, DiskFull, new_folder


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def write_and_raise(target: Path, error: Exception) -> None:
    with new_folder(target, replace=True) as folder:
        (folder / "a").write_text("new")
        raise error


def test_it_appears_with_all_its_files(tmp_path: Path) -> None:
    with new_folder(tmp_path / "deep" / "target") as folder:
        (folder / "a").write_text("1")
        assert not (tmp_path / "deep" / "target").exists()
    assert (tmp_path / "deep" / "target" / "a").read_text() == "1"
    assert names(tmp_path / "deep") == ["target"]


def test_an_error_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError):
        write_and_raise(tmp_path / "target", RuntimeError())
    assert names(tmp_path) == []


def test_an_error_keeps_what_was_there(tmp_path: Path) -> None:
    with new_folder(tmp_path / "target") as folder:
        (folder / "a").write_text("old")
    with pytest.raises(RuntimeError):
        write_and_raise(tmp_path / "target", RuntimeError())
    assert (tmp_path / "target" / "a").read_text() == "old"


def test_it_replaces_only_when_told_to(tmp_path: Path) -> None:
    for text in ("old", "new"):
        with new_folder(tmp_path / "target", replace=True) as folder:
            (folder / text).write_text(text)
    assert names(tmp_path / "target") == ["new"]
    assert names(tmp_path) == ["target"]
    with pytest.raises(FileExistsError), new_folder(tmp_path / "target"):
        pass
    assert names(tmp_path / "target") == ["new"]


@pytest.mark.parametrize(
    "error",
    [
        OSError(errno.ENOSPC, "No space left on device"),
        SafetensorError("Error while serializing: I/O error: No space left on device (os error 28)"),
    ],
)
def test_a_full_disk_is_named_and_leaves_nothing(tmp_path: Path, error: Exception) -> None:
    with pytest.raises(DiskFull, match="disk is full"):
        write_and_raise(tmp_path / "target", error)
    assert names(tmp_path) == []


def test_a_kill_leaves_nothing_at_the_target_and_what_it_left_is_swept(tmp_path: Path) -> None:
    code = (
        "import sys, time; from pathlib import Path; from rlhf.lm.folders import new_folder\n"
        "with new_folder(Path(sys.argv[1])) as folder:\n"
        "    (folder / 'a').write_text('1'); print('written', flush=True); time.sleep(60)\n"
    )
    target = tmp_path / "target"
    process = subprocess.Popen([sys.executable, "-c", code, str(target)], stdout=subprocess.PIPE)
    assert process.stdout is not None
    process.stdout.readline()
    process.send_signal(signal.SIGKILL)
    process.wait()
    process.stdout.close()
    assert not target.exists()
    (left,) = tmp_path.iterdir()

    with new_folder(target):
        assert left.exists()  # young: it may belong to a process that still writes
    old = time.time() - STALE_SECONDS - 1
    os.utime(left, (old, old))
    with new_folder(target, replace=True):
        pass
    assert names(tmp_path) == ["target"]
