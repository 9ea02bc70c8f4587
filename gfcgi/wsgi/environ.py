"""Params into the CGI half of ``environ``: what PEP 3333 promises, whatever the Web server sent.

Values are str in latin-1, one character for each octet, as they came.
"""

from __future__ import annotations

import re
from typing import Any, Final

from gfcgi.protocol.params import Pairs
from gfcgi.wsgi.rules import BadRequest, Rules, is_secure
from gfcgi.wsgi.webservers import recognise

__all__ = ["content_length", "data_length", "make_environ"]

_DIGITS: Final = re.compile(r"[0-9]{1,18}")


def make_environ(params: dict[str, str], repeated: Pairs, rules: Rules) -> dict[str, Any]:
    """Turn ``params`` itself into the CGI half of ``environ``. Raises: BadRequest."""
    webserver = recognise(params)
    original = rules.apply(params, repeated)
    environ: dict[str, Any] = params
    environ["gfcgi.webserver"] = webserver
    environ["gfcgi.original"] = original
    environ["wsgi.url_scheme"] = "https" if is_secure(params) else "http"
    return environ


def content_length(environ: dict[str, Any]) -> int | None:
    """Return CONTENT_LENGTH in bytes, or None where only the end of STDIN tells.

    Raises: BadRequest for anything but digits.
    """
    value = environ.get("CONTENT_LENGTH")
    if value is None:
        return None
    if not _DIGITS.fullmatch(value):
        raise BadRequest(f"CONTENT_LENGTH is {value[:40]!r}")
    return int(value)


def data_length(environ: dict[str, Any]) -> int | None:
    """Return FCGI_DATA_LENGTH (§6.4) in bytes, or None where the Web server does not say it."""
    value = environ.get("FCGI_DATA_LENGTH", "")
    return int(value) if _DIGITS.fullmatch(value) else None
