"""``serve_gevent_fastcgi.py SOCKET MODULE:APPLICATION``, as gevent-fastcgi's README serves one."""

from __future__ import annotations

from gevent import monkey

monkey.patch_all()

import importlib  # noqa: E402
import sys  # noqa: E402

from gevent_fastcgi.server import FastCGIServer  # noqa: E402
from gevent_fastcgi.wsgi import WSGIRequestHandler  # noqa: E402

if __name__ == "__main__":
    place, target = sys.argv[1:]
    module, _, name = target.partition(":")
    application = getattr(importlib.import_module(module), name)
    # max_conns: the default of 1024 would make later connections wait.
    FastCGIServer(place, WSGIRequestHandler(application), max_conns=10000).serve_forever()
