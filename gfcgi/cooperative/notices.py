"""What is to be said in the log, which may not have been set up yet."""

from __future__ import annotations

from collections.abc import Callable

__all__ = ["say", "tell"]

_kept: list[tuple[object, ...]] = []
_log: Callable[..., None] | None = None


def say(text: str, *values: object) -> None:
    """Log a warning, now or as soon as there is a log."""
    if _log is None:
        _kept.append((text, *values))
    else:
        _log(text, *values)


def tell(log: Callable[..., None]) -> None:
    """Have warnings logged by ``log`` from now on, those that were kept first."""
    global _log
    _log = log
    while _kept:
        log(*_kept.pop(0))
