"""``wsgi.file_wrapper``: a file as a response body, sent without passing through Python."""

from __future__ import annotations

import io
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
        """Return (descriptor, offset, bytes left) of a regular file, or None for anything else.

        A descriptor says little of what read() gives: that of ``gzip.open`` is the compressed
        file's. So it is the file whose own read() would be called, and that file unbuffered or
        with a plain buffer, which is what ``open`` gives, what ``tempfile`` wraps, and Django.
        Nor does a size where none is left: files in /proc have more than the nothing they say.
        """
        read = getattr(self.filelike, "read", None)
        file: Any = getattr(getattr(read, "__wrapped__", read), "__self__", None)
        if type(getattr(file, "raw", file)) is not io.FileIO:
            return None
        try:
            status = os.fstat(file.fileno())
            if not stat.S_ISREG(status.st_mode):
                return None
            offset = file.tell()
        except (OSError, ValueError):
            return None
        left = status.st_size - offset
        return (file.fileno(), offset, left) if left > 0 else None
