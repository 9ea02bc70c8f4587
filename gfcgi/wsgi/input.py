"""``wsgi.input`` and ``gfcgi.data``: a stream that arrives in pieces, read like a file.

A read never goes past CONTENT_LENGTH. If the stream ends earlier, a read raises, so that nobody
takes it for a short body: a connection that ends before the empty STDIN record has lost its client
(§5.3).
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

    ``length`` is the number of bytes, or None if only the end of the stream shows it. ``what`` and
    ``said_by`` are for messages. Every read may switch greenlets, and raises RequestAborted if the
    rest will never come.
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
        """Return the next bytes of the stream, b"" at the end."""
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
        """Return ``size`` bytes, fewer only at the end; without ``size``, the whole rest."""
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
        """Return the bytes that have arrived, at most ``size``; wait only if there are none."""
        most = _number(size)
        if most < 0:
            most = _PIECE_BYTES
        if self._buffer or not most:
            return self._buffered(most)
        return bytes(self._more(most))

    def readline(self, size: SupportsIndex | None = -1) -> bytes:
        """Return the next line with its LF, at most ``size`` bytes of it."""
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
        """Return the remaining lines; with ``hint``, stop once they have so many bytes."""
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
    """Return a size as an int; None means -1, as in the io module. Raises: TypeError."""
    return -1 if size is None else index(size)
