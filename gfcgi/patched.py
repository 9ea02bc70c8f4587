"""``import gfcgi.patched`` makes the standard library cooperative, at once.

Put it at the top of a script, before the imports of what talks to networks or takes locks, so that
they take hold of the patched standard library::

    import gfcgi.patched

    import requests
    import gfcgi

It is ``gevent.monkey.patch_all()``, with gevent's warnings kept for the log.
"""

from __future__ import annotations

import warnings

from gevent import monkey

__all__ = ["complaints"]

complaints: list[str] = []
"""What gevent warned of while it patched, a line each."""

with warnings.catch_warnings(record=True) as _caught:
    warnings.simplefilter("always", monkey.MonkeyPatchWarning)
    monkey.patch_all()

for _warning in _caught:
    if issubclass(_warning.category, monkey.MonkeyPatchWarning):
        complaints.append(" ".join(str(_warning.message).split()))
    else:  # somebody else's, which we only happened to catch
        warnings.warn_explicit(
            _warning.message, _warning.category, _warning.filename, _warning.lineno
        )
