"""The part of a request's body that is kept on disk: a temporary file, first in, first out."""

from __future__ import annotations

import contextlib
import os
from typing import IO, TYPE_CHECKING

if TYPE_CHECKING:
    from gfcgi.protocol.events import Bytes

__all__ = ["Spool"]


class Spool:
    """Bytes in a temporary file, first in, first out; ``size`` is the file's."""

    __slots__ = ("_file", "_read_at", "size")

    def __init__(self) -> None:
        import tempfile  # most processes spool nothing, and it brings shutil and random with it

        self._file: IO[bytes] = tempfile.TemporaryFile(  # noqa: SIM115 - closed by close()
            # Written at once: what a buffer still holds would fail later, in a read or in close().
            buffering=0,
            prefix="gfcgi-",
        )
        self._read_at = 0
        self.size = 0

    @property
    def left(self) -> int:
        """Bytes that were not read yet."""
        return self.size - self._read_at

    def write(self, data: Bytes) -> None:
        """Append all of ``data``. Raises: OSError."""
        view = memoryview(data)
        while len(view):
            written = os.pwrite(self._file.fileno(), view, self.size)
            self.size += written
            view = view[written:]

    def read(self, most: int) -> bytes:
        """Return 1 to ``most`` bytes, if any are left. Raises: OSError."""
        piece = os.pread(self._file.fileno(), min(most, self.left), self._read_at)
        if not piece and self.left:
            raise OSError("the temporary file was cut")
        self._read_at += len(piece)
        return piece

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self._file.close()
