"""How this program is started again."""

from __future__ import annotations

import os
import sys

__all__ = ["own_archive", "own_command"]


def own_command() -> list[str]:
    """The words that start this program again, from whatever directory.

    ``python -m gfcgi`` would not find it where it came out of an archive.
    """
    path = own_archive()
    if path is None:
        return [sys.executable, "-m", "gfcgi"]
    return [path] if os.path.isfile(path) and os.access(path, os.X_OK) else [sys.executable, path]


def own_archive() -> str | None:
    """The shiv, pex or zipapp that the program was started from, as an absolute path, if any."""
    import zipfile  # a script's first answer may never need it

    try:
        path = os.path.abspath(sys.argv[0]) if sys.argv and sys.argv[0] else ""
    except FileNotFoundError:  # the current directory was removed, and it is not there any more
        return None
    if os.path.isdir(path):  # one that is not packed
        return path if os.path.isfile(os.path.join(path, "__main__.py")) else None
    return path if path and zipfile.is_zipfile(path) else None
