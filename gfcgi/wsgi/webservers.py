"""Which Web server a request came from, by what it says of itself, and what it cannot take."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from gfcgi.protocol.records import ProtocolStatus

__all__ = ["ERROR_LINE_CHARACTERS", "falls_over_lone_stderr", "overloaded_status", "recognise"]

ERROR_LINE_CHARACTERS: Final = {"Apache mod_fastcgi": 1000, "Apache": 1000}
"""What a Web server's error log takes of a line: mod_fastcgi cuts at 1023 bytes. Of itself it says
no more than Apache where ServerTokens is OS, as Debian has it, or less.
"""

_HAPROXY: Final = re.compile(r"HAProxy (\d+)\.(\d+)\.(\d+)")
_HAPROXY_MENDED: Final = (2, 6, 14)
"""Before, a read that brings STDERR alone ends the whole process (its issue 2150)."""

_BY_SOFTWARE: Final = (
    ("nginx/", "nginx"),
    ("lighttpd/", "lighttpd"),
    ("Caddy/", "Caddy"),
    ("h2o/", "H2O"),
    ("HAProxy", "HAProxy"),
    ("gfcgi/", "gfcgi"),
)


def recognise(params: dict[str, str]) -> str:
    """Return a name such as "nginx" or "Apache mod_fcgid"; "" for a Web server we do not know.

    ``params`` is as it arrived, before any rule.
    """
    software = params.get("SERVER_SOFTWARE", "")
    for beginning, name in _BY_SOFTWARE:
        if software.startswith(beginning):
            return name
    if not software.startswith("Apache"):
        return ""
    if params.get("SCRIPT_FILENAME", "").startswith("proxy:"):
        return "Apache mod_authnz_fcgi" if "FCGI_ROLE" in params else "Apache mod_proxy_fcgi"
    for module in ("mod_fcgid", "mod_fastcgi"):
        if f" {module}/" in software:
            return f"Apache {module}"
    if "FCGI_ROLE" in params:
        return "Apache mod_authnz_fcgi"
    return "Apache"


def falls_over_lone_stderr(params: Mapping[str, str]) -> bool:
    """Whether FCGI_STDERR must not come without FCGI_STDOUT."""
    haproxy = _HAPROXY.match(params.get("SERVER_SOFTWARE", ""))
    return haproxy is not None and tuple(map(int, haproxy.groups())) < _HAPROXY_MENDED


def overloaded_status(status: int, params: Mapping[str, str]) -> int:
    """The protocolStatus (§5.5) that refuses one request and no other.

    HAProxy, in all its versions so far, closes the transport connection on OVERLOADED, and the
    others that it multiplexes there get 502. The page of ours says 503 all the same.
    """
    if status == ProtocolStatus.OVERLOADED and params.get("SERVER_SOFTWARE", "")[:7] == "HAProxy":
        return ProtocolStatus.REQUEST_COMPLETE
    return status
