"""The queue at a SQLite database's write lock: a process's threads in turn, then processes by a file lock."""

from __future__ import annotations

import fcntl
import os
import threading
import time

PAUSE_SECONDS = 0.0005
"""Between two looks at the file; only one thread of a process looks."""

_queues: dict[tuple[int, str], WriteQueue] = {}
_making = threading.Lock()


class WriteQueue:
    """At most one holder among all processes that use the same file; whoever dies lets go."""

    def __init__(self, path: str) -> None:
        self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        self._threads = threading.Lock()

    def wait(self, seconds: float) -> bool:
        """Whether it was this thread's turn within so many seconds."""
        until = time.monotonic() + seconds
        if not self._threads.acquire(timeout=seconds):
            return False
        while True:
            try:
                fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                if time.monotonic() >= until:
                    self._threads.release()
                    return False
                time.sleep(PAUSE_SECONDS)
            except BaseException:
                self._threads.release()
                raise
            else:
                return True

    def let_go(self) -> None:
        """The next one's turn."""
        fcntl.flock(self._file, fcntl.LOCK_UN)
        self._threads.release()


def queue_at(path: str) -> WriteQueue:
    """This process's place in the queue of this file; a forked process has one of its own."""
    with _making:
        key = (os.getpid(), path)
        if key not in _queues:
            _queues[key] = WriteQueue(path)
        return _queues[key]
