"""What the application says of each request: which process has begun it, and which has ended it."""

from __future__ import annotations

import os
import threading
from pathlib import Path

__all__ = ["Witness"]


class Witness:
    """Reads a FIFO in a thread: a full disk does not keep the application from writing to it.

    Each line is ``begin`` or ``end``, the process and the request's number. What a process has
    written is there when it is killed.
    """

    def __init__(self, path: Path) -> None:
        os.mkfifo(path)
        path.chmod(0o666)
        self._told: dict[tuple[str, int], list[int]] = {}
        self._ours = os.open(
            path, os.O_RDWR
        )  # both ends: it has no end while processes come and go
        self._thread = threading.Thread(target=self._read)
        self._thread.start()

    def close(self) -> None:
        os.write(self._ours, b"\n")
        self._thread.join()
        os.close(self._ours)

    def processes(self, what: str, number: int) -> list[int]:
        """The processes that have said this of a request."""
        return list(self._told.get((what, number), ()))

    def _read(self) -> None:
        with os.fdopen(os.dup(self._ours)) as lines:
            for line in iter(lines.readline, "\n"):
                what, pid, number = line.split()
                self._told.setdefault((what, int(number)), []).append(int(pid))
