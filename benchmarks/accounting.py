"""What the kernel has counted of other processes: CPU time and memory."""

from __future__ import annotations

import time
from collections.abc import Iterable
from pathlib import Path

__all__ = ["cpu_seconds", "memory_bytes", "process_tree"]

_PROC = Path("/proc")
_CPUCLOCK_SCHED = 2


def cpu_seconds(pids: Iterable[int]) -> float:
    """CPU time, user's and system's, that the processes have used until now.

    The CPU-time clock of a process (clock_getcpuclockid(3)) is the same account as
    /proc/PID/schedstat, in nanoseconds, with all threads, those that have ended included.

    Raises: ProcessLookupError if one of them is gone.
    """
    total = 0
    for pid in pids:
        try:
            total += time.clock_gettime_ns(~pid << 3 | _CPUCLOCK_SCHED)
        except OSError as error:
            raise ProcessLookupError(f"process {pid} of the server has ended") from error
    return total / 1e9


def memory_bytes(pids: Iterable[int]) -> int:
    """Memory of the processes, what they share with others counted in shares (PSS)."""
    total = 0
    for pid in pids:
        for line in (_PROC / str(pid) / "smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                total += int(line.split()[1]) * 1024
    return total


def process_tree(root: int) -> list[int]:
    """``root`` and all processes below it that live now."""
    children: dict[int, list[int]] = {}
    for entry in _PROC.iterdir():
        if entry.name.isdigit():
            try:
                fields = (entry / "stat").read_text().rpartition(")")[2].split()
            except OSError:  # it has just ended
                continue
            children.setdefault(int(fields[1]), []).append(int(entry.name))
    tree = [root]
    for pid in tree:
        tree += sorted(children.get(pid, ()))
    return tree
