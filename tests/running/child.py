"""The process of a ``RunningServer``: the server, and a socket of the test's own beside it."""

from __future__ import annotations

import gc
import json
import logging
import os
import resource
import signal
import socket
import sys
from typing import Any

import gevent
import greenlet
from gevent.server import StreamServer

from gfcgi.options import Options
from gfcgi.server import Server

from . import site


def state(server: Server) -> dict[str, Any]:
    """What a test compares before and after; the asking itself is in every count."""
    gc.collect()
    with open("/proc/self/statm") as statm:
        resident = int(statm.read().split()[1]) * resource.getpagesize()
    return {
        "greenlets": sum(
            # Each thread's main greenlet, which has no parent, stays with its thread.
            isinstance(thing, greenlet.greenlet) and not thing.dead and thing.parent is not None
            for thing in gc.get_objects()
        ),
        "descriptors": len(os.listdir("/proc/self/fd")),
        "resident_bytes": resident,
        "active_requests": server.active_requests,
        "parked": server.runners.parked,
        "connections": server.connections,
        "notes": site.notes,
    }


def main() -> None:
    config = json.loads(sys.argv[1])
    logging.basicConfig(
        filename=config["log"], level=logging.INFO, format="%(levelname)s %(name)s: %(message)s"
    )
    options = {
        name: tuple(value) if isinstance(value, list) else value
        for name, value in config["options"].items()
    }
    site.Event, site.pause = site.ways_to_wait(threads=bool(options.get("threads")))
    server = Server(
        site.application, [socket.socket(fileno=config["listener"])], Options(**options)
    )

    def answer(sock: Any, _: object) -> None:
        question = json.loads(sock.makefile("rb").read())
        reply: object = None
        if question["ask"] == "state":
            reply = state(server)
        elif question["ask"] == "release":
            site.gate(question["key"]).set()
        sock.sendall(json.dumps(reply).encode())
        sock.close()

    control_socket = socket.socket(fileno=config["control"])
    control_socket.setblocking(False)
    control = StreamServer(control_socket, answer)
    control.start()
    gevent.signal_handler(signal.SIGTERM, server.stop)
    server.serve()
    control.stop()


if __name__ == "__main__":
    main()
