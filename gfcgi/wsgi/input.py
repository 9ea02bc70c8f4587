"""``wsgi.input`` and ``gfcgi.data``: a stream that arrives in pieces, as a file.

It never goes past CONTENT_LENGTH, and an end that comes before it is an error rather than a short
body: EOF before the empty STDIN record is a lost client (§5.3).
"""

from __future__ import annotations

from collections.abc import Iterator
from operator import index
from typing import SupportsIndex

from gfcgi.errors import RequestAborted
from gfcgi.protocol.events import Bytes
from gfcgi.wsgi.request import InputStream

__all__ = ["Input"]

_PIECE_BYTES = 64 * 1024


class Input:
    """The bytes of one stream, with the methods that PEP 3333 asks for.

    ``length`` is how many there are, or None where only the stream's end tells; ``what`` they are
    and who said the length is for people. Every read may wait, switching greenlets, and raises
    RequestAborted when the rest will never come.
    """

    __slots__ = ("_buffer", "_left", "_position", "_said_by", "_stream", "_what")

    def __init__(
        self,
        stream: InputStream,
        length: int | None,
        what: str = "the request's body",
        said_by: str = "CONTENT_LENGTH",
    ) -> None:
        self._stream = stream
        self._left = length
        self._what = what
        self._said_by = said_by
        self._buffer = b""
        self._position = 0

    def _more(self, most: int) -> Bytes:
        """Return further bytes of the stream, b"" at the end."""
        left = self._left
        if left is None:
            return self._stream.read(most)
        if left == 0:
            return b""
        piece = self._stream.read(min(most, left))
        if not piece:
            raise RequestAborted(f"{self._what} ended {left} bytes before {self._said_by}")
        self._left = left - len(piece)
        return piece

    def _buffered(self, most: int) -> bytes:
        start = self._position
        if start == 0 and most >= len(self._buffer):
            piece, self._buffer = self._buffer, b""
            return piece
        piece = self._buffer[start : start + most]
        self._position = start + len(piece)
        if self._position == len(self._buffer):
            self._buffer = b""
            self._position = 0
        return piece

    def read(self, size: SupportsIndex | None = -1) -> bytes:
        """Return ``size`` bytes, fewer only at the end; all that is left without ``size``."""
        most = _number(size)
        if most < 0:
            pieces: list[Bytes] = [self._buffered(len(self._buffer))]
            while piece := self._more(_PIECE_BYTES):
                pieces.append(piece)
            return b"".join(pieces)
        if not most:
            return b""
        first = self._buffered(most) if self._buffer else self._more(most)
        missing = most - len(first)
        if not missing or not first:
            return bytes(first)
        pieces = [first]
        while missing and (piece := self._more(missing)):
            pieces.append(piece)
            missing -= len(piece)
        return b"".join(pieces)

    def read1(self, size: SupportsIndex | None = -1) -> bytes:
        """Return what is there, at most ``size`` bytes, waiting only where nothing is."""
        most = _number(size)
        if most < 0:
            most = _PIECE_BYTES
        if self._buffer or not most:
            return self._buffered(most)
        return bytes(self._more(most))

    def readline(self, size: SupportsIndex | None = -1) -> bytes:
        """Return bytes up to and with the next LF, at most ``size`` of them."""
        most = _number(size)
        if most == 0:
            return b""
        pieces = []
        while True:
            if not self._buffer:
                self._buffer = bytes(self._more(_PIECE_BYTES))
                if not self._buffer:
                    break
            start = self._position
            stop = len(self._buffer) if most < 0 else min(len(self._buffer), start + most)
            end = self._buffer.find(b"\n", start, stop) + 1
            piece = self._buffered((end or stop) - start)
            pieces.append(piece)
            most -= len(piece) if most > 0 else 0
            if end or most == 0:
                break
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    def readlines(self, hint: SupportsIndex | None = -1) -> list[bytes]:
        """Return the lines that are left; with ``hint``, stop after so many bytes."""
        most = _number(hint)
        lines = []
        count = 0
        for line in self:
            lines.append(line)
            count += len(line)
            if 0 < most <= count:
                break
        return lines

    def __iter__(self) -> Iterator[bytes]:
        while line := self.readline():
            yield line


def _number(size: SupportsIndex | None) -> int:
    """Return a size as the io module takes it: None is as good as -1. Raises: TypeError."""
    return -1 if size is None else index(size)
