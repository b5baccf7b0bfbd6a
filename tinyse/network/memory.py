"""The C library's allocator, told to keep what a step frees: the next step takes it again.

A training step takes and returns a few hundred MiB.  By default glibc gives large blocks back to
the system at once, and the system clears every page that it hands out anew: a quarter of a step's
processor time.
"""

from __future__ import annotations

import ctypes
import platform

# malloc.h of glibc
_M_TRIM_THRESHOLD, _M_MMAP_MAX, _M_ARENA_MAX = -1, -4, -8
_LARGEST = 2**31 - 1


def keep_freed_memory() -> None:
    """From here on this process keeps its memory, in one heap; elsewhere than on glibc, nothing.

    To be called before threads are started, since each takes a heap of its own.
    """
    if platform.libc_ver()[0] != "glibc":
        return
    mallopt = ctypes.CDLL(None).mallopt
    mallopt(_M_ARENA_MAX, 1)  # heaps of further threads hold no large blocks
    mallopt(_M_MMAP_MAX, 0)
    mallopt(_M_TRIM_THRESHOLD, _LARGEST)
