"""``import gfcgi.patched`` makes the standard library cooperative, at once.

Put it at the top of a script, before the imports of what talks to networks or takes locks, so that
they take hold of the patched standard library::

    import gfcgi.patched

    import requests
    import gfcgi

It is ``gevent.monkey.patch_all()``, with gevent's warnings kept for the log, quicker where no
plugin of gevent's is installed, and what gfcgi makes cooperative besides (``gfcgi.cooperative``).
The environment variable GFCGI_NO_COOPERATIVE leaves parts of that out. Where GFCGI_THREADS or
``gfcgi --threads`` has the application run in threads, it does nothing.
"""

from __future__ import annotations

import os
import sys

from gfcgi import cooperative
from gfcgi.cooperative.standard_library import (
    complaints,
    patch_standard_library,
    renew_what_is_stale,
)
from gfcgi.errors import ConfigError
from gfcgi.options import Options

__all__ = ["complaints"]

_VARIABLES = ("GFCGI_NO_COOPERATIVE", "GFCGI_THREADS")


def _options() -> Options:
    """What the environment says of this; the other options are for whoever serves."""
    environ = {name: os.environ.get(name, "") for name in _VARIABLES}
    try:
        return Options.from_sources(environ=environ)
    except ConfigError as error:
        print(f"gfcgi: {error}", file=sys.stderr, flush=True)
        raise SystemExit(2) from None


_chosen = _options()
if not (_chosen.threads or cooperative.left_alone()):
    patch_standard_library()
    cooperative.install(_chosen.no_cooperative)
    renew_what_is_stale()
