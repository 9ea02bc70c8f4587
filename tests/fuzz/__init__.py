"""Bytes that nobody meant, by the million: what may not break by them, checked for each.

A *harness* is a function that takes bytes and raises if something does not hold for them. It is fed
with mutations of its corpus, which are files in ``corpus/NAME`` and what ``seeds`` gives, and with
bytes of no meaning. ``python -m fuzz`` in ``tests/`` does so for as long as one likes:

    python -m fuzz                           all harnesses, a minute in all, as CI does
    python -m fuzz rules --seconds 3600      one of them, for an hour
    python -m fuzz rules FILE...             what is in these files, once

A failure is made as small as can be, printed, and written into ``found/NAME``. When it is mended,
the file goes into ``corpus/NAME``, where the test suite looks at it each time.
"""

from __future__ import annotations

from .harness import Harness
from .http import HTTP, HTTP_FRONT
from .protocol import APPLICATION, GET_VALUES, PAIRS, WEBSERVER
from .responses import HEADERS, RESPONSE_HEAD
from .rules import RULES

__all__ = ["HARNESSES", "Harness"]

HARNESSES = {
    harness.name: harness
    for harness in (
        APPLICATION,
        WEBSERVER,
        PAIRS,
        GET_VALUES,
        RULES,
        HEADERS,
        RESPONSE_HEAD,
        HTTP,
        HTTP_FRONT,
    )
}
"""Every harness by its name."""
