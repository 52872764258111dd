"""What becomes of memory that a training run no longer needs until its next update."""

from __future__ import annotations

import ctypes

M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3  # of malloc.h


def keep_freed_memory() -> None:
    """Have the C library keep what tensors leave, for those of the next update, until the process ends.

    Given back and asked for again, each page is filled with zeros anew: a thirtieth of an update's time.
    Where the C library is not glibc this does nothing.
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError, TypeError):  # musl and macOS have none; Windows has no such handle
        return
    mallopt(M_MMAP_THRESHOLD, 2**25)  # the most that glibc allows for
    mallopt(M_TRIM_THRESHOLD, 2**30)
