"""The transport connections that an application has, by the kernel's own tables."""

from __future__ import annotations

from pathlib import Path

from .applications import Address


def established(address: Address) -> set[str]:
    """Inodes of the application's transport connections; listening sockets do not count."""
    return _unix(address.path) if address.path else _tcp(address.port)


def _unix(path: str) -> set[str]:
    """Accepted sockets have the listener's path; state 3 is connected."""
    rows = [line.split() for line in Path("/proc/net/unix").read_text().splitlines()[1:]]
    return {row[6] for row in rows if row[5] == "03" and row[7:] == [path]}


def _tcp(port: int) -> set[str]:
    """State 1 is established; the application's end has ``port`` as its own."""
    rows = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    return {row[9] for row in rows if row[3] == "01" and int(row[1][9:], 16) == port}
