"""``serve_flup.py SOCKET MODULE:APPLICATION [multiplexed]``; SOCKET may be - for fd 0."""

from __future__ import annotations

import importlib
import sys

from flup.server.fcgi import WSGIServer

if __name__ == "__main__":
    place, target, *multiplexed = sys.argv[1:]
    module, _, name = target.partition(":")
    application = getattr(importlib.import_module(module), name)
    address = None if place == "-" else place
    WSGIServer(application, bindAddress=address, multiplexed=bool(multiplexed)).run()
