"""Params into ``environ``: what PEP 3333 promises an application, whatever the Web server sent.

Values are str in latin-1, one character for each octet, as they came. Where Web servers disagree
about the path, ``paths`` knows who means what.
"""

from __future__ import annotations

import re
from typing import Any, Final

from gfcgi.protocol.params import Pairs
from gfcgi.wsgi.paths import correct_paths

__all__ = ["BadRequest", "content_length", "make_environ"]

_DIGITS: Final = re.compile(r"[0-9]{1,18}")


class BadRequest(Exception):
    """The params contradict themselves; the request is answered with 400."""


def make_environ(
    params: dict[str, str], repeated: Pairs, mount: str | None = None
) -> dict[str, Any]:
    """Turn ``params`` itself into the CGI half of ``environ``.

    Raises: BadRequest.
    """
    environ: dict[str, Any] = params
    if repeated:
        _merge(params, repeated)
    # A request header "Proxy" must not become the variable that HTTP libraries take their proxy
    # from ("httpoxy"); nginx, Caddy and H2O let it through. The other two repeat CONTENT_*.
    environ.pop("HTTP_PROXY", None)
    environ.pop("HTTP_CONTENT_LENGTH", None)
    environ.pop("HTTP_CONTENT_TYPE", None)
    correct_paths(params, mount)
    if environ.get("CONTENT_TYPE") == "":
        del environ["CONTENT_TYPE"]
    https = environ.get("HTTPS", "")
    if https in ("on", "1") or https.lower() == "on":
        scheme = "https"
    else:
        scheme = environ.get("REQUEST_SCHEME") or "http"
    environ["wsgi.url_scheme"] = scheme
    if not environ.get("SERVER_NAME"):
        host = environ.get("HTTP_HOST", "")
        environ["SERVER_NAME"] = re.sub(r":[0-9]*\Z", "", host) or "localhost"
    if not environ.get("SERVER_PORT"):
        environ["SERVER_PORT"] = "443" if scheme == "https" else "80"
    if "REQUEST_METHOD" not in environ:
        environ["REQUEST_METHOD"] = "GET"
    if "QUERY_STRING" not in environ:
        environ["QUERY_STRING"] = ""
    if "SERVER_PROTOCOL" not in environ:
        environ["SERVER_PROTOCOL"] = "HTTP/1.0"
    return environ


def content_length(environ: dict[str, Any]) -> int | None:
    """Return CONTENT_LENGTH, or None where only the end of STDIN tells, and remove it then.

    Caddy says -1 for a chunked body and nginx nothing; other Web servers leave it out.

    Raises: BadRequest for anything but digits.
    """
    value = environ.get("CONTENT_LENGTH")
    if value is None:
        return None
    if _DIGITS.fullmatch(value):
        return int(value)
    del environ["CONTENT_LENGTH"]
    if value in ("", "-1"):
        return None
    raise BadRequest(f"CONTENT_LENGTH is {value[:40]!r}")


def _merge(params: dict[str, str], repeated: Pairs) -> None:
    """Put together what came more than once: header fields as HTTP does (RFC 9110 §5.3).

    Of other variables the last counts: it is the one that a person added by hand. Two lengths
    that differ are a smuggled request.
    """
    for name, value in repeated:
        if name.startswith("HTTP_"):
            params[name] += ("; " if name == "HTTP_COOKIE" else ", ") + value
        elif name == "CONTENT_LENGTH" and params[name] != value:
            raise BadRequest(f"two CONTENT_LENGTHs: {params[name][:40]!r} and {value[:40]!r}")
        else:
            params[name] = value
