"""gfcgi: FastCGI for WSGI applications, on gevent.

Importing this package does nothing: no monkey-patching, no reading of the environment, no gevent.
The names below are imported when they are first used::

    import gfcgi

    gfcgi.run(application)
"""

import sys
from importlib import import_module

# Without a __future__ import above, which old Pythons do not know: they must get here.
if sys.version_info < (3, 10):  # noqa: UP036
    sys.stderr.write(
        "gfcgi needs Python 3.10 or newer; this is Python %d.%d: %s\n"  # noqa: UP031
        % (sys.version_info[0], sys.version_info[1], sys.executable)
    )
    raise SystemExit(2)

from gfcgi._version import __version__

TYPE_CHECKING = False  # what type checkers take for True; importing typing takes 10 ms

if TYPE_CHECKING:
    from gfcgi.errors import (
        AppImportError,
        ConfigError,
        FastCGIError,
        LimitExceeded,
        LocalProtocolError,
        ProtocolError,
        RemoteProtocolError,
        RequestAborted,
        RequestTimedOut,
        TransportClosed,
    )
    from gfcgi.options import Options
    from gfcgi.process.run import run
    from gfcgi.server import Server

__all__ = [
    "AppImportError",
    "ConfigError",
    "FastCGIError",
    "LimitExceeded",
    "LocalProtocolError",
    "Options",
    "ProtocolError",
    "RemoteProtocolError",
    "RequestAborted",
    "RequestTimedOut",
    "Server",
    "TransportClosed",
    "__version__",
    "run",
]

_HOMES = {"Options": "gfcgi.options", "Server": "gfcgi.server", "run": "gfcgi.process.run"}


def __getattr__(name: str) -> object:
    if name.startswith("_") or name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(_HOMES.get(name, "gfcgi.errors")), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
