"""Hold a listening socket, and start a process for it again whenever one ends.

``supervisor.py ADDRESS PROCESSES COMMAND…``, as systemd or multiwatch do it: connections wait in
the socket while a process is away. SIGTERM stops all of them.
"""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
import time

__all__ = ["main"]


def main() -> None:
    address, count, *command = sys.argv[1:]
    kind, _, place = address.partition(":")
    if kind == "unix":
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(place)
    else:
        listener = socket.create_server((kind, int(place)))
    listener.listen(1024)
    stopping = False
    children: list[subprocess.Popen[bytes]] = []

    def stop(signum: int, frame: object) -> None:
        nonlocal stopping
        stopping = True

    signal.signal(signal.SIGTERM, stop)
    while not stopping:
        children = [child for child in children if child.poll() is None]
        while len(children) < int(count):
            children.append(subprocess.Popen(command, stdin=listener))
        time.sleep(0.02)
    for child in children:
        child.send_signal(signal.SIGTERM)
    sys.exit(max(abs(child.wait()) for child in children))


if __name__ == "__main__":
    main()
