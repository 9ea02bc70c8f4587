"""Make the CGI half of ``environ`` out of params, as PEP 3333 promises it, for every Web server.

Values are str in latin-1: one character for each octet that the Web server sent.
"""

from __future__ import annotations

from typing import Any

from gfcgi.http_fields import parse_length
from gfcgi.protocol.params import Pairs
from gfcgi.wsgi.webserver_quirks import recognise
from gfcgi.wsgi.webserver_rules import BadRequest, Rules, is_secure

__all__ = ["content_length", "data_length", "make_environ"]


def make_environ(params: dict[str, str], repeated: Pairs, rules: Rules) -> dict[str, Any]:
    """Change ``params`` in place into the CGI half of ``environ``. Raises: BadRequest."""
    webserver = recognise(params)
    original = rules.apply(params, repeated)
    environ: dict[str, Any] = params
    environ["gfcgi.webserver"] = webserver
    environ["gfcgi.original"] = original
    environ["wsgi.url_scheme"] = "https" if is_secure(params) else "http"
    return environ


def content_length(environ: dict[str, Any]) -> int | None:
    """Return CONTENT_LENGTH in bytes; None if it is absent, and only the end of STDIN shows it.

    Raises: BadRequest if it is not digits.
    """
    value = environ.get("CONTENT_LENGTH")
    if value is None:
        return None
    length = parse_length(value)
    if length is None:
        raise BadRequest(f"CONTENT_LENGTH is {value[:40]!r}")
    return length


def data_length(environ: dict[str, Any]) -> int | None:
    """Return FCGI_DATA_LENGTH (§6.4) in bytes; None if the Web server does not send it."""
    return parse_length(environ.get("FCGI_DATA_LENGTH", ""))
