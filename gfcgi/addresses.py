"""Addresses as a person writes them: where to listen, and who may connect.

========================  ===============================================================
``unix:/run/app.sock``    a UNIX socket file (a relative path begins at the current directory)
``unix:@app``             an abstract UNIX socket (Linux): no file, and no file permissions
``127.0.0.1:9000``        TCP; for a name such as ``localhost``, all its addresses
``[::1]:9000``            TCP over IPv6
``fd:0``                  a listening socket that was inherited
========================  ===============================================================
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Final, NamedTuple

from gfcgi.current_directory import REMOVED

if TYPE_CHECKING:
    from collections.abc import Iterable
    from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network

__all__ = [
    "LOOPBACK",
    "Address",
    "InheritedSocket",
    "Networks",
    "TCPAddress",
    "UnixAddress",
    "in_brackets",
    "is_loopback",
    "parse_address",
    "parse_host_port",
    "parse_ip",
    "parse_network",
]

MAX_DESCRIPTOR: Final = 2**31 - 1
"""The largest C int. A descriptor is a C int."""

UNIX_PATH_BYTES: Final = 107
"""The bytes that fit into ``sockaddr_un.sun_path`` before its closing NUL (unix(7))."""

LOOPBACK: Final = ("127.0.0.0/8", "::1/128")
"""The networks of this machine alone."""

_MAPPED_BITS: Final = 96
"""The first bits of an IPv6 address that maps an IPv4 one; the other 32 are the IPv4 address."""


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
        return f"{in_brackets(self.host)}:{self.port}"


class InheritedSocket(NamedTuple):
    """A descriptor that listened before this process began."""

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
    try:
        address = UnixAddress(path if path.startswith("@") else os.path.abspath(path))
    except FileNotFoundError:
        raise ValueError(REMOVED) from None
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


def in_brackets(host: str) -> str:
    """Return a host as URLs and SERVER_NAME have it: an IPv6 address gets brackets."""
    return f"[{host}]" if ":" in host and not host.startswith("[") else host


def parse_ip(text: str) -> IPv4Address | IPv6Address:
    """Read a literal IP address, with or without a scope (``fe80::1%eth0``). Raises ValueError.

    A socket that listens on ``[::]`` reports its IPv4 peers as ``::ffff:10.0.0.7`` (RFC 4291
    §2.5.5.2). Such an address is read as the IPv4 address, in whatever way it is written.
    """
    from ipaddress import IPv6Address, ip_address  # a script's first answer may never need it

    address = ip_address(text)
    if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
        return address.ipv4_mapped
    return address


def parse_network(text: str) -> IPv4Network | IPv6Network:
    """Read an address (``10.0.0.7``) or a network (``10.0.0.0/8``). Raises ValueError.

    A network of IPv4-mapped addresses is read as the IPv4 network.
    """
    from ipaddress import IPv4Network, IPv6Network, ip_network

    network = ip_network(text)
    if isinstance(network, IPv6Network) and network.prefixlen >= _MAPPED_BITS:
        mapped = network.network_address.ipv4_mapped
        if mapped is not None:
            return IPv4Network((int(mapped), network.prefixlen - _MAPPED_BITS))
    return network


class Networks:
    """Addresses and networks, as an option lists them: ``host in networks``.

    Raises ValueError if a text is neither an address nor a network.
    """

    def __init__(self, texts: Iterable[str]) -> None:
        self._networks = [parse_network(text) for text in texts]

    def __contains__(self, host: str) -> bool:
        """Whether a literal IP address is one of them. Anything else is not."""
        try:
            address = parse_ip(host)
        except ValueError:
            return False
        return any(address in network for network in self._networks)

    def __str__(self) -> str:
        return ", ".join(map(str, self._networks))


def is_loopback(host: str) -> bool:
    """Whether a literal IP address is a loopback one. Raises ValueError for a name."""
    return parse_ip(host).is_loopback
