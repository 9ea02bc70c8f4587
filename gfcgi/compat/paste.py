"""A server for PasteDeploy, in an ini file::

[server:main]
use = egg:gfcgi
bind = unix:/run/app/app.sock

What follows ``use`` are the options of ``gfcgi.run``, as they are written in the environment.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from gfcgi.addresses import TCPAddress
from gfcgi.process.run import run

__all__ = ["serve"]


def serve(
    application: Callable[..., Any], global_conf: Mapping[str, str] | None = None, **options: str
) -> None:
    """Serve until a signal stops it. ``host`` and ``port`` are taken for ``bind`` too.

    Raises: SystemExit(2).
    """
    host, port = options.pop("host", "127.0.0.1"), options.pop("port", None)
    if port is not None and "bind" not in options:
        options["bind"] = str(TCPAddress(host, int(port)) if port.isdigit() else f"{host}:{port}")
    start: Callable[..., None] = run
    start(application, **options)
