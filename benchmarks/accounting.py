"""Read what the kernel counts of other processes: CPU time and memory."""

from __future__ import annotations

import time
from collections.abc import Iterable
from pathlib import Path

__all__ = ["cpu_seconds", "memory_bytes", "process_tree"]

_PROC = Path("/proc")
_CPUCLOCK_SCHED = 2


def cpu_seconds(pids: Iterable[int]) -> float:
    """Return the CPU time (seconds, user and system) that the processes have used until now.

    It is the CPU-time clock of each process (clock_getcpuclockid(3)), the same account as
    /proc/PID/schedstat. The clock counts all threads, also those that have ended.

    Raises: ProcessLookupError if a process has ended.
    """
    total = 0
    for pid in pids:
        try:
            total += time.clock_gettime_ns(~pid << 3 | _CPUCLOCK_SCHED)
        except OSError as error:
            raise ProcessLookupError(f"process {pid} of the server has ended") from error
    return total / 1e9


def memory_bytes(pids: Iterable[int]) -> int:
    """Return the memory of the processes in bytes; a shared page counts in shares (PSS)."""
    total = 0
    for pid in pids:
        for line in (_PROC / str(pid) / "smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                total += int(line.split()[1]) * 1024
    return total


def process_tree(root: int) -> list[int]:
    """Return ``root`` and all living processes below it."""
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
