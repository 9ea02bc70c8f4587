"""The header block of a response, as CGI/1.1 has it (RFC 3875 §6): checked and encoded.

What an application puts there goes on the wire of somebody else's Web server, so nothing that could
end a line early is let through: the request is answered with 500 and the log says why. ``Status``
comes last, where every Web server takes it: HAProxy overrides one that a Location follows. Only an
Authorizer says it first: until lighttpd knows of a refusal it drops all but the Variable- headers,
and a challenge with them.
"""

from __future__ import annotations

import logging
import re
from typing import Final

__all__ = [
    "HeaderError",
    "check_headers",
    "check_status",
    "encode_head",
    "find_content_length",
    "find_header",
]

log = logging.getLogger("gfcgi.wsgi")

_STATUS: Final = re.compile(r"[2-9][0-9]{2}(?: [^\x00-\x1f\x7f]*)?")
_TOKEN: Final = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
_LENGTH_DIGITS: Final = 18
_NAMES_KEPT: Final = 1024

HOP_BY_HOP: Final = frozenset(
    {
        "connection",
        "keep-alive",
        "proxy-authenticate",
        "proxy-authorization",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
    }
)
"""Header fields that concern one connection of HTTP, which is the Web server's (PEP 3333)."""

_known_names: dict[str, str] = {}
"""Names found to be good, with their lower case; most responses use the same few."""

_known_statuses: set[str] = set()
"""Statuses found to be good."""

_left_out: set[str] = set()
"""Hop-by-hop names that were logged."""


class HeaderError(ValueError):
    """The application gave a status or a header that must not be sent."""


def check_status(status: object) -> str:
    """Return ``status`` if it is a str such as "200 OK", 200 to 999. Raises: HeaderError."""
    if type(status) is not str:
        raise HeaderError(f"the status must be a str, not {type(status).__name__}")
    if status in _known_statuses:
        return status
    if _STATUS.fullmatch(status) is None:
        if re.match(r"1[0-9]{2}\b", status):
            raise HeaderError(
                f"status {status!r} is no final response; the Web server sends those itself"
            )
        raise HeaderError(f"status {status!r} is not three digits, a space and a reason")
    if len(_known_statuses) < _NAMES_KEPT:
        _known_statuses.add(status)
    return status


def check_headers(headers: object) -> list[tuple[str, str]]:
    """Return a copy of ``headers`` if they are a list of (name, value) str that may be sent.

    A copy, because what the application does to its own later would go unchecked. Hop-by-hop
    headers are left out, with a log line: they are the Web server's to send.

    Raises: HeaderError.
    """
    if not isinstance(headers, list):
        raise HeaderError(f"the headers must be a list, not {type(headers).__name__}")
    checked = []
    for header in headers:
        try:
            name, value = header
        except (TypeError, ValueError):
            raise HeaderError(f"header {header!r} is not a (name, value) tuple") from None
        if not (isinstance(name, str) and isinstance(value, str)):
            raise HeaderError(f"header {name!r}: {value!r} is not str")
        wanted = name in _known_names or _check_name(name)
        if "\n" in value or "\r" in value or "\0" in value:
            raise HeaderError(f"header {name} has CR, LF or NUL in its value {value!r}")
        if wanted:
            checked.append((name, value))
    return checked


def _check_name(name: str) -> bool:
    """Return whether a header of this name is to be sent. Raises: HeaderError."""
    if _TOKEN.fullmatch(name) is None:
        raise HeaderError(f"{name!r} is no name for a header")
    lower = name.lower()
    if lower in HOP_BY_HOP:
        if lower not in _left_out:
            _left_out.add(lower)
            log.warning(
                "the application's %s header is left out: it concerns the Web server's own "
                "connection (PEP 3333, hop-by-hop); further ones are not logged",
                name,
            )
        return False
    if lower == "status":
        raise HeaderError("the status is start_response's first argument, not a header")
    if len(_known_names) < _NAMES_KEPT:
        _known_names[name] = lower
    return True


def find_header(headers: list[tuple[str, str]], wanted: str) -> str | None:
    """Return the value of the first header named ``wanted`` (lower case), or None."""
    for name, value in headers:
        if (_known_names.get(name) or name.lower()) == wanted:
            return value
    return None


def find_content_length(headers: list[tuple[str, str]]) -> int | None:
    """Return Content-Length in bytes, or None.

    Raises: HeaderError for anything but digits, and for more than one.
    """
    found = None
    for name, value in headers:
        if (_known_names.get(name) or name.lower()) == "content-length":
            if found is not None:
                raise HeaderError(f"Content-Length is there twice: {found!r} and {value!r}")
            found = value
    if found is None:
        return None
    if not (found.isascii() and found.isdigit()) or len(found) > _LENGTH_DIGITS:
        raise HeaderError(f"Content-Length is {found!r}")
    return int(found)


def encode_head(
    status: str, headers: list[tuple[str, str]], length: int | None, *, status_first: bool = False
) -> bytes:
    """Return the header block; ``length`` is a Content-Length to add, or None.

    Raises: HeaderError for what latin-1 cannot encode.
    """
    lines = [f"{name}: {value}\r\n" for name, value in headers]
    if length is not None:
        lines.append(f"Content-Length: {length}\r\n")
    lines.insert(0 if status_first else len(lines), f"Status: {status}\r\n")
    lines.append("\r\n")
    try:
        return "".join(lines).encode("latin-1")
    except UnicodeEncodeError as error:
        raise HeaderError(
            f"the headers are not latin-1: {error.object[error.start : error.end]!r} "
            "(encode the value as RFC 8187 or percent-encoding)"
        ) from None
