"""``os.fork`` and ``os.forkpty`` in a greenlet: the child has that one greenlet.

Replaced: what gevent does in the child, where the loop goes on with everybody's watchers: requests
of the parent that sleep wake up in the child as well, and do what they do twice. The child of a
greenlet gets a hub and a loop of its own, so that nothing but the greenlet that forked runs there,
as with threads. When that ends, or by ``sys.exit`` anywhere, the child process ends; exit handlers
are the parent's and do not run.

As before: a fork in the main greenlet, such as a script's that becomes a daemon; ``os.waitpid``.
That the child takes no part in serving is the server's own doing, with or without this.

Left out by ``no_cooperative``: ``fork``.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from types import ModuleType
from typing import Any

import greenlet
from gevent import _hub_local
from gevent._greenlet_primitives import SwitchOutGreenletWithLoop
from gevent.hub import get_hub

from gfcgi.cooperative.replacing import replace
from gfcgi.exiting import end_process

__all__ = ["change"]

hubs: Any = _hub_local


def change(module: ModuleType) -> None:
    """Replace ``os.fork`` and ``os.forkpty``."""
    for name in ("fork", "forkpty"):
        if hasattr(module, name):
            replace(module, name, _forking(getattr(module, name)))


def _forking(original: Callable[[], Any]) -> Callable[[], Any]:
    @functools.wraps(original)
    def fork() -> Any:
        hub = hubs.get_hub_if_exists()
        if hub is not None and hub.loop.default:
            # gevent does it after the fork, when a child that ends at once may have ended.
            hub.loop.install_sigchld()
        result = original()
        pid = result[0] if isinstance(result, tuple) else result
        if pid == 0:
            _begin_anew()
        return result

    return fork


_abandoned: list[Any] = []
"""The parent's hubs: what is suspended in them must stay so."""


def _begin_anew() -> None:
    """Give the greenlet that forked a hub of its own."""
    old: Any = hubs.get_hub_if_exists()
    current: Any = greenlet.getcurrent()
    if old is None or current is old or current.parent is None:
        return
    main = old.parent
    _abandoned.append(old)
    old.loop.destroy()
    hubs.set_loop(None)
    hubs.set_hub(None)
    hub: Any = get_hub()
    hub.parent = main
    hub.handle_system_error = _end
    current.parent = _Last(hub)  # type: ignore[abstract]


def _end(kind: type[BaseException], value: Any = None, traceback: Any = None) -> None:
    end_process(value if isinstance(value, BaseException) else kind())


class _Last(SwitchOutGreenletWithLoop):
    """Runs when its only child has ended, before anybody who waits for that is told."""

    def __init__(self, hub: Any) -> None:
        super().__init__(end_process, hub)
        # gevent takes the parent of a greenlet for its hub.
        self.loop = hub.loop
        self.handle_error = hub.handle_error
