"""Give an exchange up when something happens that it does not see itself."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import gevent

from gfcgi.client.request import Exchange

__all__ = ["abort_when"]

LOOK_SECONDS: Final = 0.02


def abort_when(
    exchange: Exchange,
    condition: Callable[[], object],
    error: BaseException,
    *,
    first: Callable[[], None] | None = None,
) -> Callable[[], None]:
    """Have ``exchange.answer`` raise ``error`` soon after ``condition`` is true.

    What had been sent to us until then is read before; ``first`` is called before, too. Returns:
    what stops the watch.
    """

    def watch() -> None:
        while not condition():
            gevent.sleep(LOOK_SECONDS)
        gevent.sleep(LOOK_SECONDS)
        if first is not None:
            first()
        exchange.abort(error)

    greenlet = gevent.spawn(watch)
    return greenlet.kill
