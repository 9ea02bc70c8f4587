"""Prints the bytes that a sleeping request takes: ``sleepers.py floor`` or ``sleepers.py gfcgi``.

The requests come over socket pairs of this process, so no clock decides how many are asleep.
"""

from __future__ import annotations

import socket
import sys
from pathlib import Path
from typing import Any

import gevent
from gevent.socket import socket as gevent_socket

BESIDES = 60
"""Requests before the first look: they make what all share."""
REQUESTS = 300

clients = []


def accept_by_floor(sock: socket.socket) -> None:
    """Do what gevent's StreamServer does with a connection."""
    wrapped: Any = gevent_socket(sock.family, sock.type, sock.proto, fileno=sock.detach())
    gevent.spawn(read_and_sleep, wrapped)


def read_and_sleep(sock: Any) -> None:
    sock.recv(65536)
    gevent.sleep(600)


def sleep(environ: dict[str, Any], start_response: Any) -> list[bytes]:
    gevent.sleep(600)
    return []


def accept_by_gfcgi(listener: socket.socket) -> Any:
    from gfcgi.options import Options
    from gfcgi.server.server import Server

    server = Server(sleep, [listener], Options())
    return lambda sock: server.accepted(sock, "")


def memory_bytes() -> int:
    """The memory that is this process's own; what it shares depends on who else is there."""
    text = Path("/proc/self/smaps_rollup").read_text("ascii")
    lines = map(str.split, text.splitlines())
    return next(int(line[1]) for line in lines if line[0] == "Anonymous:") * 1024


def begin(accept: Any, request: bytes, count: int) -> None:
    for _ in range(count):
        client, sock = socket.socketpair()
        sock.setblocking(False)
        client.sendall(request)
        clients.append(client)
        accept(sock)
        gevent.sleep(0)  # until it sleeps


def main() -> None:
    request = sys.stdin.buffer.read()
    listener = socket.create_server(("127.0.0.1", 0))
    accept = accept_by_floor if sys.argv[1] == "floor" else accept_by_gfcgi(listener)
    begin(accept, request, BESIDES)
    before = memory_bytes()
    begin(accept, request, REQUESTS)
    print((memory_bytes() - before) // REQUESTS)


if __name__ == "__main__":
    main()
