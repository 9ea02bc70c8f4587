"""What a script hands over when it is loaded instead of started.

A script's ``gfcgi.run(application, ...)`` that runs while the script is loaded starts nothing: it
hands over the application and the options. A script that is started needs this much of the loading.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

__all__ = ["Handed", "capture", "capturing"]


class Handed:
    """What ``gfcgi.run`` was called with while a script was loaded."""

    def __init__(self) -> None:
        self.application: object = None
        self.keywords: Mapping[str, object] = {}
        self.called = False


_loading: Handed | None = None


@contextmanager
def capturing() -> Iterator[Handed]:
    """Take over what ``gfcgi.run`` is called with while the body loads a script."""
    global _loading
    _loading = handed = Handed()
    try:
        yield handed
    finally:
        _loading = None


def capture(application: object, keywords: Mapping[str, object]) -> bool:
    """Take over a call of ``gfcgi.run`` if a script is being loaded."""
    if _loading is None:
        return False
    _loading.application, _loading.keywords, _loading.called = application, keywords, True
    return True
