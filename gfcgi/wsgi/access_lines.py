"""The lines of an access log: Combined, JSON, or a format of one's own.

A format has gunicorn's atoms, such as ``%(h)s`` and ``%({user-agent}i)s``. Whatever a client or an
application chose is escaped, so that it neither breaks a line in two nor looks like another field.
"""

from __future__ import annotations

import os
import re
import time
from collections.abc import Callable
from typing import Any, Final

from gfcgi.wsgi.observed import NOTHING_SENT, Observed
from gfcgi.wsgi.request import uri_in

__all__ = ["ATOMS", "COMBINED", "MONTHS", "line_maker"]

COMBINED: Final = '%(h)s %(l)s %(u)s %(t)s "%(r)s" %(s)s %(b)s "%(f)s" "%(a)s"'
"""Apache's Combined Log Format, in gunicorn's words."""

ATOMS: Final = {
    "h": "the client's address, as the rules have corrected it",
    "l": "`-`",
    "u": "the user's name",
    "t": "when the request began, such as `[27/Nov/2026:12:00:00 +0000]`",
    "r": "method, URI and protocol, such as `GET /a?b=c HTTP/1.1`",
    "m": "the method",
    "U": "the path",
    "q": "the query, without `?`",
    "H": "the protocol",
    "s": "the status, such as 200; 499 where nothing was sent because the client had left",
    "B": "bytes of the response's body",
    "b": "the same, and `-` for 0",
    "f": "the referrer",
    "a": "the user agent",
    "T": "how long it took, in whole seconds",
    "M": "the same in milliseconds",
    "D": "the same in microseconds",
    "L": "the same in seconds, such as 0.012345",
    "p": "the process, such as `<4711>`",
    "{NAME}i": "a header field of the request",
    "{NAME}o": "a header field of the response",
    "{NAME}e": "a variable of the environ",
}
"""What may stand in ``%(…)s``, for the documentation."""

_UNSAFE: Final = re.compile(r"[^ !#-\[\]-~]")
"""All that cannot stand between two quotation marks in a line of ASCII."""

_PLACE: Final = re.compile(r"%\(((?:\{[^{}()]+\})?\w)\)(-?[0-9]*)s|%(%)|%")
MONTHS: Final = (
    *("Jan", "Feb", "Mar", "Apr", "May", "Jun"),
    *("Jul", "Aug", "Sep", "Oct", "Nov", "Dec"),
)
"""Whatever locale the application has set."""

_NEVER: Final = -1


def line_maker(text: str) -> Callable[[Observed], str]:
    """Return what makes a line, without its end, of a request that has ended.

    ``text`` is ``combined``, ``json``, or a format. Raises: ValueError for one that has another
    atom.
    """
    if text == "json":
        return _Json()
    template, getters = _read(COMBINED if text == "combined" else text)

    def make(observed: Observed) -> str:
        return template % tuple([get(observed) for get in getters])

    return make


def _read(text: str) -> tuple[str, list[Callable[[Observed], str]]]:
    """Turn a format into one of Python's, and what gives its values."""
    getters = []
    template = []
    done = 0
    for found in _PLACE.finditer(text):
        template.append(text[done : found.start()].translate(_ESCAPED))
        done = found.end()
        atom, width, percent = found.groups()
        if percent:
            template.append("%%")
            continue
        getter = None if atom is None else _getter(atom)
        if getter is None:
            shown = found[0] if atom is not None else text[found.start() :][:12]
            raise ValueError(
                f"{shown!r} is none of its atoms; write combined, json, or a format such as"
                ' %(h)s %(t)s "%(r)s" %(s)s'
            )
        getters.append(getter)
        template.append(f"%{width}s")
    template.append(text[done:].translate(_ESCAPED))
    if not getters:
        raise ValueError(
            'it has no atom; write combined, json, or a format such as %(h)s %(t)s "%(r)s" %(s)s'
        )
    return "".join(template), getters


_ESCAPED: Final = {number: f"\\x{number:02x}" for number in (*range(9), *range(10, 32), 127)}
"""A format breaks no line either."""


def _getter(atom: str) -> Callable[[Observed], str] | None:
    name, kind = atom[1:-2], atom[-1]
    if atom[0] != "{":
        return _SIMPLE.get(atom)
    if kind == "i":
        variable = name.upper().replace("-", "_")
        if variable not in ("CONTENT_TYPE", "CONTENT_LENGTH"):
            variable = f"HTTP_{variable}"
        return lambda observed: _quoted(observed.params.get(variable))
    if kind == "o":
        wanted = name.lower()
        return lambda observed: _quoted(
            next((value for field, value in observed.fields if field.lower() == wanted), None)
        )
    if kind == "e":
        return lambda observed: _quoted(observed.environ.get(name))
    return None


def _quoted(value: Any) -> str:
    """Text for between two quotation marks; ``-`` for none."""
    if not value:
        return "-"
    text = value if type(value) is str else str(value)
    return text if _UNSAFE.search(text) is None else _UNSAFE.sub(_escape, text)


def _word(value: Any) -> str:
    """Text that stands for itself, without quotation marks: it has no space."""
    text = _quoted(value)
    return text.replace(" ", "\\x20") if " " in text else text


def _escape(found: re.Match[str]) -> str:
    """As Apache does: an octet that the Web server sent is ``\\xNN``."""
    char = found[0]
    if char in '"\\':
        return f"\\{char}"
    number = ord(char)
    if number < 0x100:
        return f"\\x{number:02x}"
    return f"\\u{number:04x}" if number < 0x10000 else f"\\U{number:08x}"


def user_of(observed: Observed) -> str:
    """Who the Web server, or else the application, says the client is."""
    return observed.params.get("REMOTE_USER") or observed.environ.get("REMOTE_USER") or ""


def _request_line(observed: Observed) -> str:
    protocol = observed.params.get("SERVER_PROTOCOL")
    return _quoted(f"{observed.method} {uri_in(observed.params)} {protocol or ''}".rstrip())


class _Clock:
    """The time as a log has it. It is made once a second."""

    def __init__(self) -> None:
        self._second = _NEVER
        self._text = ""

    def __call__(self, observed: Observed) -> str:
        second = int(observed.began_at)
        if second != self._second:
            at = time.localtime(second)
            self._text = time.strftime(f"[%d/{MONTHS[at.tm_mon - 1]}/%Y:%H:%M:%S %z]", at)
            self._second = second
        return self._text


def _sent(observed: Observed) -> str:
    return str(observed.sent)


def _sent_or_none(observed: Observed) -> str:
    return str(observed.sent or "-")


_SIMPLE: Final[dict[str, Callable[[Observed], str]]] = {
    "h": lambda observed: _word(observed.remote_addr),
    "l": lambda observed: "-",
    "u": lambda observed: _word(user_of(observed)),
    "t": _Clock(),
    "r": _request_line,
    "m": lambda observed: _word(observed.method),
    "U": lambda observed: _quoted(observed.path),
    "q": lambda observed: _quoted(observed.params.get("QUERY_STRING")),
    "H": lambda observed: _word(observed.params.get("SERVER_PROTOCOL")),
    "s": lambda observed: (observed.status or NOTHING_SENT)[:3],
    "B": _sent,
    "b": _sent_or_none,
    "f": lambda observed: _quoted(observed.params.get("HTTP_REFERER")),
    "a": lambda observed: _quoted(observed.params.get("HTTP_USER_AGENT")),
    "T": lambda observed: str(int(observed.seconds)),
    "M": lambda observed: str(int(observed.seconds * 1000)),
    "D": lambda observed: str(int(observed.seconds * 1_000_000)),
    "L": lambda observed: f"{observed.seconds:.6f}",
    "p": lambda observed: f"<{os.getpid()}>",
}


class _Json:
    """Makes one JSON object a request, in ASCII, whatever octets it has."""

    def __init__(self) -> None:
        import json  # for this format alone

        self._encode = json.JSONEncoder(ensure_ascii=True, separators=(",", ":")).encode

    def __call__(self, observed: Observed) -> str:
        params = observed.params
        began = observed.began_at
        return self._encode(
            {
                "time": time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(began))
                + f".{int(began % 1 * 1000):03d}Z",
                "remote_addr": _text(observed.remote_addr),
                "remote_user": _text(user_of(observed)),
                "method": _text(observed.method),
                "uri": _text(uri_in(params)),
                "protocol": _text(params.get("SERVER_PROTOCOL", "")),
                "host": _text(params.get("HTTP_HOST", "")),
                "status": int((observed.status or NOTHING_SENT)[:3]),
                "bytes_sent": observed.sent,
                "bytes_received": observed.received,
                "seconds": round(observed.seconds, 6),
                "referer": _text(params.get("HTTP_REFERER", "")),
                "user_agent": _text(params.get("HTTP_USER_AGENT", "")),
                "aborted": observed.aborted,
                "cut": observed.cut,
                "pid": os.getpid(),
            }
        )


def _text(value: Any) -> str:
    """Text of octets in latin-1, which mostly are UTF-8; what is not shows as ``\\xNN``."""
    text = value if type(value) is str else str(value)
    if text.isascii():
        return text
    try:
        octets = text.encode("latin-1")
    except UnicodeEncodeError:  # the application's own
        octets = text.encode("utf-8", "backslashreplace")
    return octets.decode("utf-8", "backslashreplace")
