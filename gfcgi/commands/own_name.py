"""What the program is called, and what it is."""

from __future__ import annotations

import os
import sys

from gfcgi.own_command import own_archive

__all__ = ["called_as", "version"]


def called_as() -> str:
    """The program as a person types it.

    That is ``gfcgi``, an archive's name, or ``python -m gfcgi``.
    """
    name = os.path.basename(sys.argv[0]) if sys.argv else ""
    return name if name.startswith("gfcgi") or own_archive() else "python -m gfcgi"


def version() -> str:
    """The version, the build, and what it runs on."""
    import platform
    from importlib.metadata import version as version_of

    from gfcgi._version import __version__
    from gfcgi.process.built import build

    return (
        f"gfcgi {__version__} ({build()}), gevent {version_of('gevent')},"
        f" greenlet {version_of('greenlet')}, {platform.python_implementation()}"
        f" {platform.python_version()}, {platform.system()}"
    )
