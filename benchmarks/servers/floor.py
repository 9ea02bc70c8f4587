"""The floor: what gevent and Python cost without any FastCGI.

``floor.py MODE SOCKET [NUMBER]``; SOCKET is a path, or ``-`` for the listening socket on fd 0:

- ``canned``: read once, write a canned answer
- ``counted``: read NUMBER bytes for each answer
- ``numbered``: as ``counted``, with the request id that the NUMBER bytes begin with
- ``sleeping``: read once, sleep NUMBER seconds, write
- ``sendall``: read once, write 100 MB by 64 KB
- ``recv_into``: read NUMBER bytes into one buffer of 64 KB, then write
"""

from __future__ import annotations

import socket
import struct
import sys
from typing import Any

import gevent
from gevent.server import StreamServer

RESPONSE = (
    b"Content-Type: text/plain\r\nContent-Length: 14\r\nStatus: 200 OK\r\n\r\nHello, world!\n"
)
KEEP_CONN = 10
"""The offset of the flags in BEGIN_REQUEST."""
PIECE = b"d" * 65536
PIECES = 1601
"""A little more than 100 MB, to include the headers of the records."""


def answer(request_id: int) -> bytes:
    """Return a STDOUT record, an empty one, and END_REQUEST."""
    padding = -len(RESPONSE) & 7
    return (
        struct.pack(">BBHHBx", 1, 6, request_id, len(RESPONSE), padding)
        + RESPONSE
        + bytes(padding)
        + struct.pack(">BBHHBx", 1, 6, request_id, 0, 0)
        + struct.pack(">BBHHBxIB3x", 1, 3, request_id, 8, 0, 0, 0)
    )


ANSWER = answer(1)


class Floor:
    """The modes; each method serves one connection."""

    def __init__(self, number: int) -> None:
        self.number = number

    def canned(self, sock: Any, address: object) -> None:
        while data := sock.recv(65536):
            sock.sendall(ANSWER)
            if not data[KEEP_CONN]:
                return

    def counted(self, sock: Any, address: object) -> None:
        left = self.number
        while data := sock.recv(65536):
            left -= len(data)
            if not left:
                sock.sendall(ANSWER)
                left = self.number

    def numbered(self, sock: Any, address: object) -> None:
        length = self.number
        rest = b""
        while data := sock.recv(65536):
            data = rest + data
            whole = len(data) - len(data) % length
            rest = data[whole:]
            answers = [
                answer(data[start + 2] << 8 | data[start + 3]) for start in range(0, whole, length)
            ]
            if answers:
                sock.sendall(b"".join(answers))

    def sleeping(self, sock: Any, address: object) -> None:
        sock.recv(65536)
        gevent.sleep(self.number)
        sock.sendall(ANSWER)

    def sendall(self, sock: Any, address: object) -> None:
        sock.recv(65536)
        for _ in range(PIECES):
            sock.sendall(PIECE)

    def recv_into(self, sock: Any, address: object) -> None:
        buffer = bytearray(65536)
        left = self.number
        while left:
            received = sock.recv_into(buffer)
            if not received:
                return
            left -= received
        sock.sendall(ANSWER)


def listen(place: str) -> Any:
    if place == "-":
        return socket.socket(fileno=0)
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(place)
    listener.listen(2048)
    return listener


def main() -> None:
    mode, place, number = (*sys.argv[1:], "0")[:3]
    listener = listen(place)
    serve = getattr(Floor(int(number)), mode)
    listener.setblocking(False)
    StreamServer(listener, serve).serve_forever()


if __name__ == "__main__":
    main()
