"""The header block of a response (CGI/1.1, RFC 3875 §6): check it, then encode it.

A Web server sends on what the application puts here. So nothing may end a line early: the request
is answered with 500, and the log says why.

``Status`` comes last, where every Web server takes it; HAProxy replaces one that a Location
follows. An Authorizer sends it first: before lighttpd has read a refusal, it drops all header
fields but Variable-*, and so would drop the challenge (WWW-Authenticate).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

from gfcgi.http_fields import HOP_BY_HOP, is_token, parse_length
from gfcgi.wsgi.advice import say_left_out

__all__ = [
    "HeaderError",
    "check_headers",
    "check_status",
    "encode_head",
    "find_content_length",
    "find_header",
    "replace_content_length",
]

_STATUS: Final = re.compile(r"[2-9][0-9]{2}(?: [^\x00-\x1f\x7f]*)?")
_CONTROL: Final = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")
"""Characters that no value may have (RFC 9110 §5.5): nginx sends them on, Apache answers 500."""
_NAMES_KEPT: Final = 1024

_known_names: dict[str, str] = {}
"""Names that passed the check, with their lower case. Most responses use the same few."""

_known_statuses: set[str] = set()
"""Statuses that passed the check."""


class HeaderError(ValueError):
    """The application gave a status or a header that must not be sent."""


def check_status(status: object) -> str:
    """Return ``status`` if it is a str such as "200 OK", 200 to 999. Raises: HeaderError."""
    if type(status) is not str:
        if not isinstance(status, str):
            raise HeaderError(f"the status must be a str, not {type(status).__name__}")
        status = str.__str__(status)
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
    """Return a copy of ``headers`` if they are a sequence of (name, value) str that may be sent.

    The result is a copy: nobody would check what the application does to its own list later.
    Hop-by-hop headers are left out, and the log says so once.

    Raises: HeaderError.
    """
    if not isinstance(headers, list) and (
        isinstance(headers, str | bytes) or not isinstance(headers, Sequence)
    ):
        raise HeaderError(f"the headers must be a list, not {type(headers).__name__}")
    checked = []
    for header in headers:
        try:
            name, value = header
            if type(header) is not tuple and isinstance(header, str):
                raise TypeError
        except (TypeError, ValueError):
            raise HeaderError(f"header {header!r} is not a (name, value) tuple") from None
        if type(name) is not str or type(value) is not str:
            if not (isinstance(name, str) and isinstance(value, str)):
                raise HeaderError(f"header {name!r}: {value!r} is not str")
            # A subclass could encode itself as something else than what is checked below.
            name, value = str.__str__(name), str.__str__(value)
        wanted = name in _known_names or _check_name(name)
        if not value.isprintable() and _CONTROL.search(value) is not None:
            raise HeaderError(
                f"header {name} has CR, LF or NUL, or another control character, in its value "
                f"{value!r}"
            )
        if wanted:
            checked.append((name, value))
    return checked


def _check_name(name: str) -> bool:
    """Return whether a header of this name may be sent. Raises: HeaderError."""
    if not is_token(name):
        raise HeaderError(f"{name!r} is no name for a header")
    lower = name.lower()
    if lower in HOP_BY_HOP:
        say_left_out(name)
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

    Raises: HeaderError if it is not digits, or is there twice.
    """
    found = None
    for name, value in headers:
        if (_known_names.get(name) or name.lower()) == "content-length":
            if found is not None:
                raise HeaderError(f"Content-Length is there twice: {found!r} and {value!r}")
            found = value
    if found is None:
        return None
    length = parse_length(found)
    if length is None:
        raise HeaderError(f"Content-Length is {found!r}")
    return length


def replace_content_length(
    headers: list[tuple[str, str]], length: int | None
) -> list[tuple[str, str]]:
    """Return checked ``headers`` with another Content-Length in its place; without it for None."""
    replaced = []
    for name, value in headers:
        if (_known_names.get(name) or name.lower()) != "content-length":
            replaced.append((name, value))
        elif length is not None:
            replaced.append((name, str(length)))
    return replaced


def encode_head(
    status: str, headers: list[tuple[str, str]], length: int | None, *, status_first: bool = False
) -> bytes:
    """Return the header block; ``length`` is a Content-Length to add, or None.

    An empty ``status`` is left out, which means 200 (RFC 3875 §6.3.3).

    Raises: HeaderError if latin-1 cannot encode it.
    """
    lines = [f"{name}: {value}\r\n" for name, value in headers]
    if length is not None:
        lines.append(f"Content-Length: {length}\r\n")
    if status:
        lines.insert(0 if status_first else len(lines), f"Status: {status}\r\n")
    lines.append("\r\n")
    try:
        return "".join(lines).encode("latin-1")
    except UnicodeEncodeError as error:
        raise HeaderError(
            f"the headers are not latin-1: {error.object[error.start : error.end]!r} "
            "(encode the value as RFC 8187 or percent-encoding)"
        ) from None
