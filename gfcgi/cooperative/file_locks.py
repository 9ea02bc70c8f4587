"""Locks of files: ``fcntl.flock``, ``fcntl.lockf``, ``fcntl.fcntl`` and ``os.lockf``.

Replaced: a call that waits for a lock. It tries the lock without waiting, pauses (from 1 to 50 ms)
while other greenlets run, and tries again. Two requests that take the same lock, one of which
sleeps while it has it, stop a process for good otherwise.

As before: LOCK_NB and its exception, LOCK_UN, every other command, and threads that are no
greenlets. A signal's handler, a ``gevent.Timeout`` or a kill ends the wait with its exception.
Nobody is next in line, and the kernel does not find deadlocks between processes (EDEADLK).

Left out by ``no_cooperative``: ``file-locks``.
"""

from __future__ import annotations

import errno
import functools
from collections.abc import Callable
from types import ModuleType
from typing import Any, Final

from gfcgi.cooperative.replacing import replace
from gfcgi.cooperative.waiting import delays, may_wait, pause

__all__ = ["change"]

_HELD: Final = frozenset({errno.EAGAIN, errno.EACCES, errno.EWOULDBLOCK})
"""Somebody else has the lock."""


def change(module: ModuleType) -> None:
    """Replace what waits for locks in ``fcntl`` or ``os``."""
    if module.__name__ == "fcntl":
        unlocks, at_once = module.LOCK_UN, module.LOCK_NB

        def without_waiting(operation: int) -> int | None:
            return None if operation & (unlocks | at_once) else operation | at_once

        commands = {
            getattr(module, f"{kind}_SETLKW"): getattr(module, f"{kind}_SETLK")
            for kind in ("F", "F_OFD")
            if hasattr(module, f"{kind}_SETLKW")
        }
        replace(module, "flock", _waiting(module.flock, without_waiting))
        replace(module, "lockf", _waiting(module.lockf, without_waiting))
        replace(module, "fcntl", _waiting(module.fcntl, commands.get))
    elif hasattr(module, "lockf"):
        replace(module, "lockf", _waiting(module.lockf, {module.F_LOCK: module.F_TLOCK}.get))


def _waiting(original: Callable[..., Any], at_once: Callable[[int], int | None]) -> Any:
    """``original(fd, command, ...)``, waiting cooperatively.

    ``at_once`` gives the command that does the same without waiting; None if it does not wait.
    """

    @functools.wraps(original)
    def lock(fd: Any, command: Any, *arguments: Any) -> Any:
        trying = at_once(command) if isinstance(command, int) and may_wait() else None
        if trying is None:
            return original(fd, command, *arguments)
        for seconds in delays():
            try:
                return original(fd, trying, *arguments)
            except OSError as error:
                if error.errno not in _HELD:
                    raise
            pause(seconds)
        raise AssertionError("delays never end")

    return lock
