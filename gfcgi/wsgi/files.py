"""``wsgi.file_wrapper``: a file as a response body. The kernel sends it, where it can."""

from __future__ import annotations

import io
import os
import stat
import sys
from collections.abc import Callable
from types import BuiltinMethodType
from typing import Any, Final

from gfcgi import limits

__all__ = ["FileWrapper", "giving_way"]

_BUFFERED: Final = (io.BufferedReader, io.BufferedRandom)


class FileWrapper:
    """An iterator over a file-like object, in blocks of at most ``block_size`` bytes.

    If the application returns the wrapper itself, over a regular file, the kernel sends the file.
    Whoever iterates over it may move in the file first, as for a Range request: ``seekable``,
    ``seek`` and ``tell`` are the file's own.
    """

    def __init__(self, filelike: Any, block_size: int = limits.FILE_BLOCK_BYTES) -> None:
        self.filelike = filelike
        self.block_size = block_size
        if hasattr(filelike, "close"):
            self.close = filelike.close

    @staticmethod
    def give_way() -> None:
        """Let other requests have a turn; see ``giving_way``."""

    def __iter__(self) -> FileWrapper:
        return self

    def __next__(self) -> Any:
        # Whoever skips the beginning of a large file by reading it writes nothing meanwhile.
        self.give_way()
        size = self.block_size
        if not 0 < size <= limits.MAX_FILE_BLOCK_BYTES:
            size = limits.MAX_FILE_BLOCK_BYTES
        block = self.filelike.read(size)
        if not block:
            raise StopIteration
        return block

    def seekable(self) -> bool:
        if hasattr(self.filelike, "seekable"):
            return bool(self.filelike.seekable())
        return hasattr(self.filelike, "seek")

    def seek(self, *where: Any) -> Any:
        return self.filelike.seek(*where)

    def tell(self) -> Any:
        return self.filelike.tell()

    def region(self) -> tuple[int, int, int] | None:
        """Return (descriptor, offset, bytes left) of a regular file, or None for anything else.

        A descriptor does not show what read() gives: a file of ``gzip.open`` has the descriptor of
        the compressed file, and a subclass may change what it reads. So the file must be of exactly
        the types that ``open`` gives, and its own read() the one that would be called. Files in
        /proc report size 0 but have content, so size 0 means unknown.
        """
        if type(self).__next__ is not FileWrapper.__next__:
            return None
        file = _plain_file(self.filelike)
        if file is None:
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


def giving_way(give_way: Callable[[], None]) -> type[FileWrapper]:
    """Return a FileWrapper that calls ``give_way`` before it reads a block."""
    return type("FileWrapper", (FileWrapper,), {"give_way": staticmethod(give_way)})


def _plain_file(filelike: Any) -> Any:
    """Return the file that ``filelike`` is, or whose read() it has; None if that is not plain."""
    tempfile = sys.modules.get("tempfile")
    if tempfile is not None and type(filelike) is tempfile._TemporaryFileWrapper:
        filelike = filelike.file
    read: Any = getattr(filelike, "read", None)
    # Django's File has the read() of the file that it is about.
    # Since Python 3.12 some have a subclass of BuiltinMethodType, which nobody can make in Python.
    if not issubclass(type(read), BuiltinMethodType) or read.__name__ != "read":
        return None
    file = read.__self__
    if type(file) in _BUFFERED:
        return file if type(getattr(file, "raw", None)) is io.FileIO else None
    return file if type(file) is io.FileIO else None
