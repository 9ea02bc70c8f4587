"""Addresses as a person writes them: where to listen, and whom to let in.

========================  ===============================================================
``unix:/run/app.sock``    a UNIX socket file (a relative path is taken from where we start)
``unix:@app``             an abstract UNIX socket (Linux): no file, and no file permissions
``127.0.0.1:9000``        TCP; a name such as ``localhost`` is listened on at all its addresses
``[::1]:9000``            TCP over IPv6
``fd:0``                  a listening socket that was inherited
========================  ===============================================================
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from ipaddress import IPv4Network, IPv6Network

__all__ = [
    "Address",
    "InheritedSocket",
    "TCPAddress",
    "UnixAddress",
    "is_loopback",
    "parse_address",
    "parse_host_port",
    "parse_network",
]

MAX_DESCRIPTOR: Final = 2**31 - 1
"""The largest C int, which a descriptor is."""

UNIX_PATH_BYTES: Final = 107
"""What fits into ``sockaddr_un.sun_path`` with its closing NUL (unix(7))."""


class UnixAddress(NamedTuple):
    """A UNIX socket; ``path`` begins with ``@`` when it is abstract."""

    path: str

    @property
    def abstract(self) -> bool:
        return self.path.startswith("@")

    @property
    def sockaddr(self) -> str:
        return "\0" + self.path[1:] if self.abstract else self.path

    def __str__(self) -> str:
        return f"unix:{self.path}"


class TCPAddress(NamedTuple):
    """A host (name or literal address, without brackets) and a port; port 0 takes a free one."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


class InheritedSocket(NamedTuple):
    """A descriptor that already listens when we start."""

    fd: int

    def __str__(self) -> str:
        return f"fd:{self.fd}"


Address = UnixAddress | TCPAddress | InheritedSocket


def parse_address(text: str) -> Address:
    """Read an address to listen on. Raises ValueError with the reason."""
    kind, colon, rest = text.partition(":")
    if colon and kind == "unix":
        return _unix_address(rest)
    if colon and kind == "fd":
        if not (rest.isascii() and rest.isdigit()) or int(rest) > MAX_DESCRIPTOR:
            raise ValueError("write a descriptor's number, as in fd:0")
        return InheritedSocket(int(rest))
    if "/" in text and "://" not in text:
        raise ValueError(f"write unix:{text} for a UNIX socket")
    if not colon or "/" in text:
        raise ValueError("write unix:PATH, HOST:PORT or fd:NUMBER, as in unix:/run/app.sock")
    host, port = parse_host_port(text)
    return TCPAddress(host, port)


def _unix_address(path: str) -> UnixAddress:
    if path in ("", "@"):
        raise ValueError("write a path, as in unix:/run/app.sock, or a name, as in unix:@app")
    if "\0" in path:
        raise ValueError("a path cannot hold a NUL")
    address = UnixAddress(path if path.startswith("@") else os.path.abspath(path))
    if len(os.fsencode(address.path)) > UNIX_PATH_BYTES:
        raise ValueError(
            f"{address.path} is longer than the {UNIX_PATH_BYTES} bytes that a UNIX socket's path"
            " can have"
        )
    return address


def parse_host_port(text: str) -> tuple[str, int]:
    """Read ``host:port`` or ``[v6]:port``. Raises ValueError with the reason."""
    host, colon, port = text.rpartition(":")
    if not colon or not (port.isascii() and port.isdigit()) or int(port) > 65535:
        raise ValueError("write HOST:PORT, as in 127.0.0.1:9000 or [::1]:9000")
    if host.startswith("[") and host.endswith("]"):
        host = host[1:-1]
    elif ":" in host:
        raise ValueError(f"write an IPv6 address in brackets: [{host}]:{port}")
    if not host or any(c.isspace() for c in host):
        raise ValueError(
            f"write which address to listen on: 127.0.0.1:{port}, or 0.0.0.0:{port} for all"
        )
    return host, int(port)


def parse_network(text: str) -> IPv4Network | IPv6Network:
    """Read an address (``10.0.0.7``) or a network (``10.0.0.0/8``). Raises ValueError."""
    from ipaddress import ip_network

    return ip_network(text)


def is_loopback(host: str) -> bool:
    """Whether a literal IP address, perhaps with a scope (``fe80::1%eth0``), is a loopback one."""
    from ipaddress import IPv6Address, ip_address

    address = ip_address(host.partition("%")[0])
    if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
        return address.ipv4_mapped.is_loopback
    return address.is_loopback
