"""What is called in a child process right after the application has forked it.

``os.register_at_fork`` keeps what it is given for ever; here a server that is gone is forgotten.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any
from weakref import WeakMethod

import gevent

__all__ = ["call_in_children", "renew_hub"]

_calls: list[WeakMethod[Callable[[], None]]] = []
_registered = False


def call_in_children(method: Callable[[], None]) -> None:
    """Call a bound method in every process that is forked from now on, while its object lives."""
    global _registered
    if not _registered:
        _registered = True
        os.register_at_fork(after_in_child=_call_all)
    bound: Any = method
    _calls[:] = [call for call in _calls if call() is not None]
    _calls.append(WeakMethod(bound))


def renew_hub() -> None:
    """Have the event loop work in this process, which was forked, if the parent had one."""
    gevent.reinit()


def _call_all() -> None:
    for call in _calls:
        method = call()
        if method is not None:
            method()
