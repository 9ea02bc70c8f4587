"""What gunicorn's hooks, its access log and its statsd are told of a request.

They want an HTTP request, a response and an environ, as gunicorn's own workers have them. All three
are made of what is observed of a request (``wsgi.observed``).
"""

from __future__ import annotations

from typing import Any, Final

from gfcgi.printing import printable
from gfcgi.wsgi.observed import NOTHING_SENT, Observed
from gfcgi.wsgi.request import uri_in

__all__ = ["HookRequest", "HookResponse", "environ_for_log"]

_CLIENTS: Final = ("PATH_INFO", "QUERY_STRING", "REMOTE_USER")
"""What a client chooses, and a Web server may have decoded."""


class HookRequest:
    """A request as gunicorn's hooks know one. ``headers`` are pairs with upper-case names."""

    def __init__(self, params: dict[str, str]) -> None:
        self.method = params.get("REQUEST_METHOD", "-")
        self.path = params.get("SCRIPT_NAME", "") + params.get("PATH_INFO", "")
        self.query = params.get("QUERY_STRING", "")
        self.fragment = ""
        self.uri = uri_in(params)
        self.scheme = params.get("REQUEST_SCHEME") or (
            "https" if params.get("HTTPS", "off") not in ("", "off") else "http"
        )
        self.version = _version(params.get("SERVER_PROTOCOL", ""))
        self.remote_addr = self.peer_addr = (
            params.get("REMOTE_ADDR", ""),
            params.get("REMOTE_PORT", ""),
        )
        self.headers = [
            (name.removeprefix("HTTP_").replace("_", "-"), value)
            for name, value in params.items()
            if name.startswith("HTTP_") or (name in ("CONTENT_TYPE", "CONTENT_LENGTH") and value)
        ]


class HookResponse:
    """A response as gunicorn's hooks know one; ``sent`` are the bytes of its body."""

    def __init__(self, observed: Observed) -> None:
        self.status = observed.status or NOTHING_SENT
        self.headers = observed.fields
        self.headers_sent = bool(observed.status)
        self.sent = observed.sent

    @property
    def status_code(self) -> int:
        return int(self.status[:3])


def environ_for_log(observed: Observed) -> dict[str, Any]:
    """Return an environ that has what gunicorn's access log asks for, and breaks no line in two."""
    request, made = HookRequest(observed.params), dict(observed.environ)
    made["REQUEST_METHOD"] = printable(request.method)
    made["RAW_URI"] = printable(request.uri)
    made.setdefault("SERVER_PROTOCOL", "-")
    for name in _CLIENTS:
        if name in made:
            made[name] = printable(str(made[name]))
    return made


def _version(protocol: str) -> tuple[int, int]:
    major, _, minor = protocol.removeprefix("HTTP/").partition(".")
    if not (major.isascii() and major.isdigit()):
        return 1, 0
    return int(major), int(minor) if minor.isascii() and minor.isdigit() else 0
