"""What every gevent server pays before it can begin; then a canned answer, which costs no more.

The listening socket is descriptor 0, and the request waits in it. It is answered without gevent's
sockets and without its loop.
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
    signal.pause()  # its end shall not be measured as well
