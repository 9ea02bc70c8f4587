"""``import gfcgi.patched`` makes the standard library cooperative, at once.

Put it at the top of a script, before the imports of what talks to networks or takes locks, so that
they take hold of the patched standard library::

    import gfcgi.patched

    import requests
    import gfcgi

It is ``gevent.monkey.patch_all()``, with gevent's warnings kept for the log, and quicker where no
plugin of gevent's is installed.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from gevent import events, monkey

from gfcgi import plugins

__all__ = ["complaints"]

complaints: list[str] = []
"""What gevent warned of while it patched, a line each."""


@contextmanager
def _plugins_sought_once() -> Iterator[None]:
    """Spare gevent the search for plugins, before and after each module, if there are none."""
    its: Any = events
    if not hasattr(its, "notify_and_call_entry_points") or plugins.may_be_installed():
        yield
        return
    seeking = its.notify_and_call_entry_points
    its.notify_and_call_entry_points = its.notify  # zope.event's subscribers are told as ever
    try:
        yield
    finally:
        its.notify_and_call_entry_points = seeking


with _plugins_sought_once(), warnings.catch_warnings(record=True) as _caught:
    warnings.simplefilter("always", monkey.MonkeyPatchWarning)
    monkey.patch_all()

for _warning in _caught:
    if issubclass(_warning.category, monkey.MonkeyPatchWarning):
        complaints.append(" ".join(str(_warning.message).split()))
    else:  # somebody else's, which we only happened to catch
        warnings.warn_explicit(
            _warning.message, _warning.category, _warning.filename, _warning.lineno
        )
