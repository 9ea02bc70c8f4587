"""``gfcgi.run`` in a script that is loaded instead of started: it starts nothing.

It leaves the application and the options with whoever loads the script. This is apart from
``loading`` because a script that is started needs only this much of it.
"""

from __future__ import annotations

TYPE_CHECKING = False  # importing typing takes time, and gfcgi.run imports this first

if TYPE_CHECKING:
    from collections.abc import Mapping

    from typing_extensions import Self

__all__ = ["CapturedRun", "capture"]


class CapturedRun:
    """What a script calls ``gfcgi.run`` with while the body of the ``with`` statement loads it."""

    def __init__(self) -> None:
        self.application: object = None
        self.keywords: Mapping[str, object] = {}
        self.called = False

    def __enter__(self) -> Self:
        global _loading
        _loading = self
        return self

    def __exit__(self, *exception: object) -> None:
        global _loading
        _loading = None


_loading: CapturedRun | None = None


def capture(application: object, keywords: Mapping[str, object]) -> bool:
    """Keep what ``gfcgi.run`` was called with if a script is being loaded; say whether one is."""
    if _loading is None:
        return False
    _loading.application, _loading.keywords, _loading.called = application, keywords, True
    return True
