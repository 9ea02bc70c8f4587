"""Many processes, which gunicorn makes and watches: its worker class, and its arbiter embedded.

Only what is here imports gunicorn.
"""

from __future__ import annotations

from importlib.util import find_spec

from gfcgi.errors import ConfigError
from gfcgi.options import Options

__all__ = ["need_gunicorn"]


def need_gunicorn(options: Options) -> None:
    """Raise ConfigError if gunicorn is not installed."""
    if find_spec("gunicorn") is None:
        raise ConfigError(
            "gunicorn starts the processes, and is not installed: pip install 'gfcgi[gunicorn]'",
            option="processes",
            source=options.source_of("processes"),
        )
