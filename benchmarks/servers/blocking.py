"""The bare loops of ``floor.py``'s ``sendall`` and ``recv_into``, without gevent: plain sockets."""

from __future__ import annotations

import socket
import sys

from floor import Floor, listen


def main() -> None:
    mode, place, number = (*sys.argv[1:], "0")[:3]
    listener: socket.socket = listen(place)
    serve = getattr(Floor(int(number)), mode)
    while True:
        sock, address = listener.accept()
        with sock:
            try:
                serve(sock, address)
            except ConnectionError:  # the first connection only checks that the server runs
                pass


if __name__ == "__main__":
    main()
