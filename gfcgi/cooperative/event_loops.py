"""asyncio: ``asyncio.run``, ``Runner``, ``run_until_complete`` in several greenlets at once.

Replaced: ``run_forever`` of asyncio's own event loops, which all of these call. asyncio keeps one
running loop, and since Python 3.14 one running task, for each operating-system thread. While the
greenlet of a loop waits, that is taken back, and put there again when it goes on: so each greenlet
may run a loop of its own, and what the loop hands to threads, which are greenlets too, finds none.
The loop runs in the greenlet that calls it, with its context variables and thread-local data. Its
selector is gevent's, so a coroutine that waits lets everybody else go on. A child process is waited
for in a thread.

As before: a second loop in one and the same greenlet is refused; a coroutine that computes, or
that waits in C, stops the others. Loops that are not asyncio's own (uvloop) wait in C.

Left out by ``no_cooperative``: ``asyncio``.
"""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable
from types import ModuleType
from typing import Any

import greenlet

from gfcgi.cooperative.replacing import replace
from gfcgi.cooperative.waiting import may_wait

__all__ = ["change", "change_child_watcher"]


def change(module: ModuleType) -> None:
    """Replace ``run_forever`` in ``asyncio.base_events``."""
    loops: Any = module
    loops.BaseEventLoop.run_forever = _with_hooks(loops.BaseEventLoop.run_forever)


def change_child_watcher(module: ModuleType) -> None:
    """Have ``asyncio.unix_events`` wait for child processes in a thread, as before Python 3.12.

    gevent may have collected a child's status by the time that its pidfd is opened.
    """
    if hasattr(module, "can_use_pidfd"):
        replace(module, "can_use_pidfd", lambda: False)


def _with_hooks(original: Callable[[Any], None]) -> Callable[[Any], None]:
    @functools.wraps(original)
    def run_forever(self: Any) -> None:
        current = greenlet.getcurrent()
        # With a loop that runs in this greenlet, the original refuses.
        if not may_wait() or "switch_out" in current.__dict__:
            return original(self)
        current.__dict__.update(_Hooks(current).methods())
        try:
            return original(self)
        finally:
            for name in _Hooks.NAMES:
                current.__dict__.pop(name, None)

    return run_forever


class _Hooks:
    """What takes a greenlet's running loop away when it leaves, and gives it back.

    gevent's hub calls ``switch_out`` of a greenlet that switches to it, and ``switch`` or ``throw``
    to come back; attributes of the greenlet itself are found before those of its class.
    """

    NAMES = ("switch_out", "switch", "throw")

    def __init__(self, own: greenlet.greenlet) -> None:
        from asyncio import events

        self._switch, self._throw = own.switch, own.throw
        self._get: Callable[[], Any] = events._get_running_loop
        self._set: Callable[[Any], None] = events._set_running_loop
        self._left: tuple[Any, Any] | None = None

    def methods(self) -> dict[str, Callable[..., Any]]:
        return {name: getattr(self, name) for name in self.NAMES}

    def switch_out(self) -> None:
        loop = self._get()
        if loop is not None:
            self._left = loop, _swap_task(loop, None)
            self._set(None)

    def switch(self, *args: Any, **kwargs: Any) -> Any:
        self._come_back()
        return self._switch(*args, **kwargs)

    def throw(self, *args: Any) -> Any:
        self._come_back()
        return self._throw(*args)

    def _come_back(self) -> None:
        if self._left is not None:
            (loop, task), self._left = self._left, None
            self._set(loop)
            _swap_task(loop, task)


def _swap_task(loop: Any, task: Any) -> Any:
    """Make ``task`` the running one, and give the one before."""
    if sys.version_info < (3, 14):
        return None  # kept for each loop, not for each thread
    from asyncio import tasks

    return tasks._swap_current_task(loop, task)
