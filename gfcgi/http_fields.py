"""What HTTP says of header fields (RFC 9110), for both sides of the wire."""

from __future__ import annotations

import re
from typing import Final

__all__ = [
    "HOP_BY_HOP",
    "MAX_LENGTH_DIGITS",
    "SINGLETONS",
    "TOKEN",
    "is_token",
    "join",
    "parse_length",
    "variable_name",
]

TOKEN: Final = r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+"
"""A token (RFC 9110 §5.6.2), which a field's name is, as a regular expression."""

HOP_BY_HOP: Final = frozenset(
    {
        "connection",
        "keep-alive",
        "proxy-authenticate",
        "proxy-authorization",
        "proxy-connection",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
    }
)
"""Fields that concern one connection of HTTP, in lower case (RFC 9110 §7.6.1, RFC 2616 §13.5.1).

The connection is the Web server's, so an application must not send them (PEP 3333).
"""

SINGLETONS: Final = frozenset(
    {
        "authorization",
        "content-length",
        "content-location",
        "content-range",
        "content-type",
        "date",
        "from",
        "host",
        "if-modified-since",
        "if-range",
        "if-unmodified-since",
        "last-modified",
        "max-forwards",
        "origin",
        "proxy-authorization",
        "range",
        "referer",
        "user-agent",
    }
)
"""Fields of a request that have one value and are no lists, in lower case (RFC 9110 §5.5, and RFC
6454 §7.3 for Origin). Every other field may be a list."""

MAX_LENGTH_DIGITS: Final = 18
"""Digits of a length in bytes; what is longer would not fit into 64 bits everywhere."""

_token = re.compile(TOKEN)


def is_token(text: str) -> bool:
    return _token.fullmatch(text) is not None


def parse_length(text: str) -> int | None:
    """Read a length in bytes; None for anything but ASCII digits, and for too many of them."""
    # A regular expression takes twice as long, and every response has a length.
    if text.isdigit() and text.isascii() and len(text) <= MAX_LENGTH_DIGITS:
        return int(text)
    return None


def join(variable: str, first: str, second: str) -> str:
    """Return the value of a request's header field that came twice (RFC 9110 §5.3).

    ``variable`` is the name of its param. Of a field that is no list the last value counts.
    """
    if variable in _SINGLETON_VARIABLES:
        return second
    return f"{first}{'; ' if variable == 'HTTP_COOKIE' else ', '}{second}"


def variable_name(field: str) -> str:
    """Return the name of the param that holds a request's header field (RFC 3875 §4.1.18)."""
    name = field.upper().replace("-", "_")
    return name if name in ("CONTENT_TYPE", "CONTENT_LENGTH") else f"HTTP_{name}"


_SINGLETON_VARIABLES: Final = frozenset(map(variable_name, SINGLETONS))
