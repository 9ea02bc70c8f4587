"""What a person sees: the bytes of strangers made harmless, and how far a long thing is."""

from __future__ import annotations

import codecs
import sys
import time
from typing import BinaryIO, Final, TextIO

from gfcgi.printing import harmless

__all__ = ["Output", "Progress"]

SHOWN_AFTER_SECONDS: Final = 0.5
"""What is done by then needs no bar."""
REDRAWN_SECONDS: Final = 0.1
MEGABYTE: Final = 1_000_000


class Output:
    """Standard output or error, for bytes as they come.

    On a terminal control characters are shown, not obeyed: whoever sends them could move the
    cursor, retitle the window, or have it type. Into a file or a pipe the bytes go as they are.
    """

    def __init__(self, file: BinaryIO, *, terminal: bool) -> None:
        self._file = file
        self._decoder = codecs.getincrementaldecoder("utf-8")("backslashreplace")
        self._terminal = terminal

    def write(self, data: bytes) -> None:
        """Write, and have it seen at once."""
        if self._terminal:
            text = self._decoder.decode(data).replace("\r\n", "\n")
            data = harmless(text).encode()
        self._file.write(data)
        self._file.flush()


class Progress:
    """A bar on standard error if that is a terminal: bytes of so many, or how many if unknown."""

    def __init__(self, what: str, total: int | None, file: TextIO | None = None) -> None:
        self._what = what
        self._total = total
        self._file = file if file is not None else sys.stderr
        self._active = self._file.isatty()
        self._done = 0
        self._start = time.monotonic()
        self._drawn = self._start + SHOWN_AFTER_SECONDS - REDRAWN_SECONDS
        self._visible = False

    def add(self, size: int) -> None:
        """So many bytes more are done."""
        self._done += size
        now = time.monotonic()
        if self._active and now >= self._drawn + REDRAWN_SECONDS:
            self._drawn = now
            self._visible = True
            self._file.write("\r" + self._line())
            self._file.flush()

    def finish(self) -> None:
        """Take the bar away."""
        if self._visible:
            self._file.write("\r\x1b[K")
            self._file.flush()
            self._visible = False

    def _line(self) -> str:
        done = f"{self._what} {self._done / MEGABYTE:.1f}"
        if not self._total:
            return f"{done} MB"
        part = min(1.0, self._done / self._total)
        bar = "#" * round(part * 30)
        return f"{done} of {self._total / MEGABYTE:.1f} MB [{bar:30}] {part:4.0%}"
