"""How many transport connections an application has, by the kernel's own tables."""

from __future__ import annotations

from pathlib import Path

from .applications import Address


def established(address: Address) -> int:
    """Transport connections of the application at ``address``; listening sockets do not count."""
    return _unix(address.path) if address.path else _tcp(address.port)


def _unix(path: str) -> int:
    """Accepted sockets have the listener's path; state 3 is connected."""
    rows = [line.split() for line in Path("/proc/net/unix").read_text().splitlines()[1:]]
    return sum(row[5] == "03" and row[7:] == [path] for row in rows)


def _tcp(port: int) -> int:
    """State 1 is established; the application's end has ``port`` as its own."""
    rows = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    return sum(row[3] == "01" and int(row[1].rpartition(":")[2], 16) == port for row in rows)
