"""The current directory, which may have been removed while programs are in it.

Whoever writes absolute paths must not notice it: a service may be started from anywhere. Whoever
needs it gets FileNotFoundError from os.getcwd and os.path.abspath; ``REMOVED`` says it in words.
"""

from __future__ import annotations

import os

TYPE_CHECKING = False  # this is imported before the signals are held

if TYPE_CHECKING:
    from typing import Final

__all__ = ["REMOVED", "current_directory"]

REMOVED: Final = "the current directory was removed: change to another one, or write absolute paths"


def current_directory() -> str | None:
    """Return its path; None if it was removed."""
    try:
        return os.getcwd()
    except FileNotFoundError:
        return None
