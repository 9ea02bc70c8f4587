"""Pages that gfcgi itself serves below the application's mount point: before it, and beside it.

They are found when a request's params are complete, before it is counted or has to wait for a place
or a thread. So they are there when the application takes no more requests.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Final, NamedTuple

from gfcgi.protocol.events import BeginRequest
from gfcgi.protocol.records import Role
from gfcgi.wsgi.webserver_rules import BadRequest, Rules

__all__ = ["Asked", "OwnPages", "Page"]

_RESPONDER: Final = int(Role.RESPONDER)

_FORWARDED: Final = ("HTTP_X_FORWARDED_FOR", "HTTP_FORWARDED", "HTTP_X_REAL_IP", "HTTP_VIA")
"""What proxies add. A client that adds one itself only shuts itself out."""


class Asked(NamedTuple):
    """A request for a page: its params as the application would see them, and who asks.

    ``client`` is the address of the HTTP client: empty where there is none, as a Web server's
    health check has none; None where nobody knows it, because a proxy that is not trusted has
    forwarded the request.
    """

    params: dict[str, str]
    client: str | None


Page = Callable[[Asked], bytes]
"""Makes a whole CGI/1.1 response. It must not raise."""


class OwnPages:
    """Finds the page for a request. ``pages`` are by PATH_INFO, decoded, as it must be exactly.

    ``rules`` correct the params as they do for the application: so what the application would see
    as this path is the page, and whatever else looks like it is the application's.
    """

    def __init__(self, pages: Mapping[str, Page], rules: Rules) -> None:
        # As the params are: one character for each octet.
        self._pages = {path.encode().decode("latin-1"): page for path, page in pages.items()}
        self._ends = tuple(self._pages)
        self._last = frozenset(path[-1:] for path in self._pages)
        self._rules = rules

    def find(self, begin: BeginRequest) -> Callable[[], bytes] | None:
        """Return what makes the response; None where the request is the application's."""
        params = begin.params
        end = params.get("PATH_INFO", "") or params.get("SCRIPT_NAME", "")
        # No rule puts anything behind the path, so one character tells most requests apart.
        if end[-1:] not in self._last:
            return None
        path = params.get("SCRIPT_NAME", "") + params.get("PATH_INFO", "")
        if not path.endswith(self._ends) or begin.role != _RESPONDER:
            return None
        corrected = params.copy()
        try:
            original = self._rules.apply(corrected, begin.repeated)
        except BadRequest:
            return None
        page = self._pages.get(corrected["PATH_INFO"])
        if page is None:
            return None
        return partial(page, Asked(corrected, self._client(corrected, original)))

    def _client(self, params: dict[str, str], original: dict[str, str | None]) -> str | None:
        """Return the HTTP client's address as it is known."""
        address = params.get("REMOTE_ADDR", "")
        if not any(params.get(name) for name in _FORWARDED):
            return address
        # It is the proxy's, unless the rule "forwarded" has found out whose it is.
        if "REMOTE_ADDR" in original:
            return address
        last = params.get("HTTP_X_FORWARDED_FOR", "").rpartition(",")[2].strip()
        return address if last == address and self._rules.trusts(address) else None
