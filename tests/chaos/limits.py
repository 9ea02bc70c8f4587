"""Let processes run short of something for a while.

``limits.py files|descriptors SECONDS PID…``, run by the user of these processes. Nobody else may do
it, nor may root without CAP_SYS_RESOURCE.
"""

from __future__ import annotations

import contextlib
import os
import resource
import sys
import time

FREE_DESCRIPTORS = 3
FILE_BYTES = 30_000


def limit(pid: int, what: str) -> tuple[int, tuple[int, int], int]:
    """Which limit, what it is, and what it becomes."""
    if what == "files":
        return resource.RLIMIT_FSIZE, resource.prlimit(pid, resource.RLIMIT_FSIZE), FILE_BYTES
    highest = max(map(int, os.listdir(f"/proc/{pid}/fd")))
    before = resource.prlimit(pid, resource.RLIMIT_NOFILE)
    return resource.RLIMIT_NOFILE, before, highest + 1 + FREE_DESCRIPTORS


def main() -> None:
    what, seconds, *pids = sys.argv[1:]
    found = []
    for pid in map(int, pids):
        with contextlib.suppress(ProcessLookupError, FileNotFoundError):  # it has just ended
            number, before, short = limit(pid, what)
            resource.prlimit(pid, number, (short, before[1]))
            found.append((pid, number, before))
    time.sleep(float(seconds))
    for pid, number, before in found:
        with contextlib.suppress(ProcessLookupError):
            resource.prlimit(pid, number, before)
    print(len(found))


if __name__ == "__main__":
    main()
