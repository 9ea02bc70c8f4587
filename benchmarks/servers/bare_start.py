"""Patch and import as every gevent server must, then send a canned answer.

The listening socket is descriptor 0, and the request waits in it. The answer needs neither gevent's
sockets nor its loop.
"""

from __future__ import annotations

from gevent import monkey

monkey.patch_all()

import _socket  # noqa: E402
import os  # noqa: E402
import signal  # noqa: E402

import gevent.server  # noqa: E402, F401
from floor import ANSWER  # noqa: E402

if __name__ == "__main__":
    descriptor, _ = _socket.socket(fileno=0)._accept()  # type: ignore[attr-defined]
    os.read(descriptor, 65536)
    os.write(descriptor, ANSWER)
    signal.pause()  # the end of the process is not measured
