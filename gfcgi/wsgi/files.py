"""``wsgi.file_wrapper``: a file as a response body, sent without passing through Python."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from typing import Any

__all__ = ["FileWrapper"]


class FileWrapper:
    """An iterable over a file-like object, in blocks of ``block_size`` bytes.

    Returned to the server as it is, over a regular file, it is sent from the file by the kernel.
    """

    def __init__(self, filelike: Any, block_size: int = 65_536) -> None:
        self.filelike = filelike
        self.block_size = block_size
        if hasattr(filelike, "close"):
            self.close = filelike.close

    def __iter__(self) -> Iterator[bytes]:
        while block := self.filelike.read(self.block_size):
            yield block

    def region(self) -> tuple[int, int, int] | None:
        """Return (descriptor, offset, bytes left) of a regular file, or None for anything else."""
        try:
            descriptor = self.filelike.fileno()
            status = os.fstat(descriptor)
            if not stat.S_ISREG(status.st_mode):
                return None
            offset = self.filelike.tell()
        except (AttributeError, OSError, ValueError):
            return None
        if not (isinstance(descriptor, int) and isinstance(offset, int)):
            return None
        return descriptor, offset, max(0, status.st_size - offset)
