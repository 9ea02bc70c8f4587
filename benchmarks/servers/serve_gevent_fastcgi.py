"""``serve_gevent_fastcgi.py SOCKET MODULE:APPLICATION``, as gevent-fastcgi's README serves one.

SOCKET may be - for fd 0.
"""

from __future__ import annotations

from gevent import monkey

monkey.patch_all()

import importlib  # noqa: E402
import socket  # noqa: E402
import sys  # noqa: E402

from gevent_fastcgi.server import FastCGIServer  # noqa: E402
from gevent_fastcgi.wsgi import WSGIRequestHandler  # noqa: E402

if __name__ == "__main__":
    place, target = sys.argv[1:]
    module, _, name = target.partition(":")
    application = getattr(importlib.import_module(module), name)
    listener: str | socket.socket = place
    if place == "-":
        listener = socket.socket(fileno=0)
        listener.setblocking(False)
    # With the default max_conns of 1024, later connections would wait.
    FastCGIServer(listener, WSGIRequestHandler(application), max_conns=10000).serve_forever()
