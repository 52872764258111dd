"""Freed memory is kept where the C library can be told so, and nothing happens elsewhere."""

from __future__ import annotations

import pytest

from rlhf.lm import memory


class NoHandle:
    """A C library without mallopt."""

    def __init__(self, _: None) -> None:
        pass


def test_thresholds_are_set_once_each(monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[tuple[int, int]] = []

    class Library:
        def __init__(self, _: None) -> None:
            self.mallopt = lambda what, value: told.append((what, value))

    monkeypatch.setattr(memory.ctypes, "CDLL", Library)
    memory.keep_freed_memory()
    assert dict(told) == {memory.M_MMAP_THRESHOLD: 2**25, memory.M_TRIM_THRESHOLD: 2**30}


def test_without_mallopt_nothing_happens(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory.ctypes, "CDLL", NoHandle)
    memory.keep_freed_memory()
