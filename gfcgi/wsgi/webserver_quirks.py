"""Recognise the Web server that sent a request, and know what it cannot take."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

from gfcgi.http_fields import parse_length
from gfcgi.protocol.records import ProtocolStatus

__all__ = [
    "ABORT",
    "BODY_REPLACING",
    "CLOSE",
    "END",
    "ERROR_LINE_CHARACTERS",
    "SHOWING_STATUS",
    "aborts_what_it_waits_for",
    "falls_over_lone_stderr",
    "may_write_late",
    "head_limit",
    "overloaded_status",
    "recognise",
    "stopping_status",
    "way_to_cut",
]

ERROR_LINE_CHARACTERS: Final = {"Apache mod_fastcgi": 1000, "Apache": 1000}
"""The longest line that goes whole into a Web server's error log: mod_fastcgi cuts at 1023 bytes.
With ServerTokens OS, as Debian has it, or less, its SERVER_SOFTWARE says only "Apache".
"""

BODY_REPLACING: Final = frozenset(
    {"x-accel-redirect", "x-sendfile", "x-sendfile2", "x-lighttpd-send-file", "x-reproxy-url"}
)
"""Header fields, in lower case, for which a Web server sends a file or another URL as the body:
nginx, Apache and lighttpd, lighttpd, lighttpd, H2O."""

BUFFER_PARAM: Final = "FASTCGI_BUFFER_SIZE"
"""The param in which nginx, configured as ``gfcgi config`` prints it, says its fastcgi_buffer_size.
"""

_HEAD_LIMITS: Final = {
    "nginx": (4096, "fastcgi_buffer_size"),
    "HAProxy": (15360, "tune.bufsize"),
    "lighttpd": (65535, ""),
}
"""The longest header block of a response in bytes, and the setting that raises it, "" for none.
nginx's default is a page of memory, 4 KB on most machines. The others were measured (HAProxy
2.6.12: its buffer less 1 KB; lighttpd 1.4.69). All three answer 502 to a longer one."""

END: Final = "END_REQUEST"
CLOSE: Final = "close without END_REQUEST"
ABORT: Final = "ABORT_REQUEST and close"
"""Ways to end a response that is not whole."""

_SHOW_A_CLOSE: Final = frozenset({"Apache mod_proxy_fcgi", "HAProxy", "lighttpd"})
"""Web servers that break their own response off if the connection ends without END_REQUEST. The
others take that for the end of the response, or add a page to it."""

SHOWING_STATUS: Final = frozenset({"Caddy"})
"""Web servers that pass the application's Status on as a header field."""

_HAPROXY: Final = re.compile(r"HAProxy (\d+)\.(\d+)\.(\d+)")
_HAPROXY_MENDED: Final = (2, 6, 14)
"""Earlier versions crash when one read brings STDERR alone (HAProxy's issue 2150)."""

_BY_SOFTWARE: Final = (
    ("nginx/", "nginx"),
    ("lighttpd/", "lighttpd"),
    ("Caddy/", "Caddy"),
    ("h2o/", "H2O"),
    ("HAProxy", "HAProxy"),
    ("gfcgi/", "gfcgi"),
)

_NEVER_LATE: Final = ("Apache", *(beginning for beginning, _ in _BY_SOFTWARE))


def recognise(params: dict[str, str]) -> str:
    """Return a name such as "nginx" or "Apache mod_fcgid"; "" for an unknown Web server.

    ``params`` must be as they arrived, before any rule.
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


def head_limit(webserver: str, params: Mapping[str, Any]) -> tuple[int, str] | None:
    """Return the longest header block that the Web server takes, and the setting that raises it.

    None: nobody knows of a limit. ``webserver`` is as ``recognise`` names it.
    """
    limit = _HEAD_LIMITS.get(webserver)
    if limit is not None and webserver == "nginx":
        said = parse_length(str(params.get(BUFFER_PARAM, "")))
        return (said, limit[1]) if said else limit
    return limit


def falls_over_lone_stderr(params: Mapping[str, str]) -> bool:
    """Return whether this Web server crashes on FCGI_STDERR that comes without FCGI_STDOUT."""
    haproxy = _HAPROXY.match(params.get("SERVER_SOFTWARE", ""))
    return haproxy is not None and tuple(map(int, haproxy.groups())) < _HAPROXY_MENDED


def may_write_late(params: Mapping[str, str]) -> bool:
    """Return whether this Web server may still write when its request and the answer are complete.

    npm's fastcgi-client ends STDIN twice. It must not find the connection closed, or it loses the
    answer. None of those that we know does so, and closing at once saves a turn of the loop.
    """
    return not params.get("SERVER_SOFTWARE", "").startswith(_NEVER_LATE)


def _is_haproxy(params: Mapping[str, str]) -> bool:
    # Not ``recognise``, which wants them as they arrived: here they may be the application's.
    return params.get("SERVER_SOFTWARE", "")[:7] == "HAProxy"


def aborts_what_it_waits_for(params: Mapping[str, str]) -> bool:
    """Return whether this Web server may abort a whole request whose answer it still wants.

    All versions of HAProxy so far do so when they stop or reload: ABORT_REQUEST for each request of
    the transport connection, sent once. The HTTP client gets the answer that comes in spite of it,
    else 502, or on a kept connection nothing. Where its client leaves, HAProxy sends ABORT_REQUEST
    only before the end of STDIN.
    """
    return _is_haproxy(params)


def overloaded_status(status: int, params: Mapping[str, str]) -> int:
    """Return the protocolStatus (§5.5) that refuses this request and no other.

    All versions of HAProxy so far close the transport connection on OVERLOADED; then the other
    requests on it get 502. The page still says 503.
    """
    if status == ProtocolStatus.OVERLOADED and _is_haproxy(params):
        return ProtocolStatus.REQUEST_COMPLETE
    return status


def stopping_status(params: Mapping[str, str]) -> int:
    """Return the protocolStatus (§5.5) of a complete answer on a connection that is to end.

    With CANT_MPX_CONN HAProxy passes the answer on as it is, and sends nothing more on a connection
    on which requests are active. Other Web servers take no status but REQUEST_COMPLETE for success.
    """
    if _is_haproxy(params):
        return ProtocolStatus.CANT_MPX_CONN
    return ProtocolStatus.REQUEST_COMPLETE


def way_to_cut(webserver: str, *, keep_conn: bool, length_sent: bool) -> str:
    """Return how to end a response that is not whole, so that the HTTP client can tell.

    One of END, CLOSE and ABORT; docs/reference/webservers.md has what was measured. ``webserver``
    is as ``recognise`` names it, ``length_sent`` whether the client has a Content-Length.
    """
    if webserver == "nginx":
        # Without KEEP_CONN it looks at the Content-Length, and an abort loses what it holds.
        return END if length_sent and not keep_conn else ABORT
    return CLOSE if webserver in _SHOW_A_CLOSE else END
