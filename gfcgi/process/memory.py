"""How much freed memory the process keeps for what comes next."""

from __future__ import annotations

import os
from typing import Final

__all__ = ["keep_freed_memory", "resident_bytes"]

_KEPT_BYTES: Final = 2 * 1024 * 1024


def keep_freed_memory() -> None:
    """Let the C library's allocator keep up to 4 MB, rather than 128 KB, of what is freed.

    glibc gives the end of its heap back to the kernel as soon as 128 KB there are free, and gets it
    again page by page. A body that is read in pieces of 64 KB would pay that with every piece; that
    costs more than to receive it. Both of glibc's bounds follow the largest block that had a
    mapping of its own and was freed (mallopt(3), "dynamic mmap threshold"); one bound is twice its
    size. So this frees such a block. Other allocators take no notice.
    """
    bytes(_KEPT_BYTES)


def resident_bytes() -> int:
    """Memory that the process takes now; where the system does not say, the most it has taken."""
    try:
        with open("/proc/self/statm", "rb") as file:
            return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except OSError:
        import resource

        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
