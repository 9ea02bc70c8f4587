"""How much freed memory the process keeps for what comes next."""

from __future__ import annotations

from typing import Final

__all__ = ["keep_freed_memory"]

_KEPT_BYTES: Final = 2 * 1024 * 1024


def keep_freed_memory() -> None:
    """Let the C library's allocator keep up to 4 MB, rather than 128 KB, of what is freed.

    glibc gives the end of its heap back to the kernel as soon as 128 KB there are free, and gets it
    again page by page: for a body that is read in pieces of 64 KB, with every piece, which costs
    more than to receive it. Both of its bounds follow the largest block that was ever mapped by
    itself and freed (mallopt(3), "dynamic mmap threshold"), the one with twice its size. So one is
    freed here. Other allocators take no notice.
    """
    bytes(_KEPT_BYTES)
