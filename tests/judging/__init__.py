"""What HTTP requests mean, as h11 reads them: the judge of the HTTP front.

``understood`` is h11's reading of all that a client sends on one connection. ``compare`` says
where the front's reading differs. ``STRICTER`` is what the front refuses on purpose although h11
takes it. ``generated`` has the set of requests.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field

import h11

__all__ = ["STRICTER", "Reading", "Request", "compare", "understood"]


@dataclass
class Request:
    """One request as somebody understood it. ``params`` are CGI's, in latin-1."""

    params: dict[str, str]
    body: bytes = b""
    complete: bool = False


@dataclass
class Reading:
    """The requests on one connection, in their order.

    ``refused`` says why the one after them, or the last one's body, is none; it is empty where
    nothing is wrong. ``waits``: more bytes could follow.
    """

    requests: list[Request] = field(default_factory=list)
    refused: str = ""
    waits: bool = False

    @property
    def complete(self) -> list[Request]:
        return [request for request in self.requests if request.complete]


LAST = {"host", "authorization", "content-type", "range", "referer", "user-agent"}
"""Of the fields in the set: those that are no lists."""


def cgi(request: h11.Request) -> dict[str, str]:
    """The params that h11's request has to become."""
    params = {
        "REQUEST_METHOD": request.method.decode(),
        "REQUEST_URI": request.target.decode(),
        "SERVER_PROTOCOL": "HTTP/" + request.http_version.decode(),
    }
    for raw_name, raw_value in request.headers:
        name, value = raw_name.decode(), raw_value.decode("latin-1")
        variable = name.upper().replace("-", "_")
        if variable not in ("CONTENT_TYPE", "CONTENT_LENGTH"):
            variable = "HTTP_" + variable
        if "_" in name or name == "proxy":
            continue  # X_A could not be told from X-A; "Proxy" is "httpoxy"
        if name == "content-length":
            value = str(int(value))
        if variable in params and name not in LAST:
            value = params[variable] + ("; " if name == "cookie" else ", ") + value
        params[variable] = value
    absolute = re.match(r"[A-Za-z][A-Za-z0-9+.\-]*://([^/?#]*)", params["REQUEST_URI"])
    if absolute:
        params["HTTP_HOST"] = absolute[1]  # RFC 9112 §3.2.2
    return params


def understood(sent: bytes) -> Reading:
    """h11's reading. A single empty line before a request is RFC 9112 §2.2's, and taken away: h11
    alone refuses it, and nobody can take it for a request.
    """
    connection = h11.Connection(h11.SERVER, max_incomplete_event_size=1 << 30)
    reading = Reading()
    connection.receive_data(sent.removeprefix(b"\r\n"))
    try:
        while True:
            event = connection.next_event()
            if isinstance(event, h11.Request):
                reading.requests.append(Request(cgi(event)))
            elif isinstance(event, h11.Data):
                reading.requests[-1].body += event.data
            elif isinstance(event, h11.EndOfMessage):
                reading.requests[-1].complete = True
                connection.send(h11.Response(status_code=404, headers=[(b"Content-Length", b"0")]))
                connection.send(h11.EndOfMessage())
                if connection.our_state is h11.MUST_CLOSE:
                    return reading
                left = connection.trailing_data[0]
                connection.start_next_cycle()
                if left.startswith(b"\r\n"):
                    rest = understood(left)
                    return Reading(reading.requests + rest.requests, rest.refused, rest.waits)
            else:
                reading.waits = True
                return reading
    except h11.RemoteProtocolError as error:
        reading.refused = str(error)
        return reading


Row = tuple[str, Callable[[bytes], object]]


def _search(pattern: bytes) -> Callable[[bytes], object]:
    return re.compile(pattern, re.IGNORECASE | re.DOTALL).search


LINE = rb"(?:^|\n)"

STRICTER: dict[str, Row] = {
    "obs-fold": (
        "No client has folded lines for decades, and readers join them differently (§5.2)",
        _search(rb"\n[ \t]"),
    ),
    "control character": (
        "Invalid in a field (RFC 9110 §5.5): it would go on into logs and other fields",
        _search(rb"[\x01-\x08\x0b\x0c\x0e-\x1f\x7f]|\r(?!\n)"),
    ),
    "Content-Length twice": (
        "A client that counts twice is broken, or wants two readers to disagree (§6.3)",
        _search(LINE + rb"content-length:[^\n]*(?:,|\ncontent-length:|\n.*?\ncontent-length:)"),
    ),
    "Content-Length with Transfer-Encoding": (
        "Request smuggling (§6.1)",
        _search(
            LINE + rb"transfer-encoding:.*content-length:"
            rb"|" + LINE + rb"content-length:.*transfer-encoding:"
        ),
    ),
    "Transfer-Encoding in HTTP/1.0": (
        "Its framing is faulty (§6.1)",
        _search(rb"HTTP/1\.0\r?\n.*transfer-encoding:"),
    ),
    "version": (
        "HTTP/0.9 and HTTP/2 have no such head (RFC 9110 §15.6.6)",
        _search(rb"HTTP/[02-9]\.[0-9]\r?\n"),
    ),
    "Host": (
        "HTTP/1.2 is at least HTTP/1.1, which has a Host (§3.2)",
        _search(rb"^[^\n]* HTTP/1\.[2-9]\r?\n(?!.*\nhost:)"),
    ),
    "name": (
        "Another site's name, for that site's pages to read what the front answers; or none",
        _search(LINE + rb"host:[ \t]*(?!x(?::80)?[ \t]*\r?\n)[^\r\n]|://(?!x[:/?])"),
    ),
    "target": (
        "An origin server has paths (§3.2); a NUL ends a path in C",
        _search(
            LINE + rb"[^ \n]+ (?![/*]|[a-z][a-z0-9+.\-]*://)|" + LINE + rb"[^\n]*%00"
            rb"|" + LINE + rb"[^ \n]+ \*[^ ]"
        ),
    ),
    "CONNECT": ("The front is no proxy (RFC 9110 §9.3.6)", _search(LINE + rb"CONNECT ")),
    "chunk's line": (
        "An endless one would never be a request; 16 digits are 64 bits (§7.1.1)",
        _search(rb"\n[0-9a-f]{17}|\n[0-9a-f]+;[^\n]{1000}"),
    ),
    "trailer": (
        "What frames a message cannot come after it (RFC 9110 §6.5.1)",
        _search(rb"\n0+(?:;[^\n]*)?\r\n(?:.*\n)?(?:content-length|transfer-encoding):"),
    ),
    "length": (
        "18 digits of bytes are more than there is",
        _search(LINE + rb"content-length:[ \t]*[0-9]{19}"),
    ),
    "size": (
        "Every bound of the front is a bound of its memory",
        lambda sent: len(sent) > 8000 or sent.count(b"\n") > 100,
    ),
}
"""What h11 takes and the front refuses, with the reason. The sections are RFC 9112's."""


def compare(sent: bytes, judged: Reading, front: Reading, used: set[str]) -> str:
    """Return what is wrong with the front's reading, or an empty text.

    Rows of STRICTER that explain a difference are added to ``used``.
    """
    if len(front.requests) > len(judged.requests):
        return f"the front took a request that h11 refuses: {judged.refused}"
    for ours, theirs in zip(front.requests, judged.requests, strict=False):
        compared = {
            name: value
            for name, value in ours.params.items()
            if name.startswith(("HTTP_", "CONTENT_")) or name in theirs.params
        }
        if compared != theirs.params:
            return f"the front understood {compared}, h11 {theirs.params}"
        if ours.complete and not theirs.complete:
            return f"the front took a body that h11 refuses: {judged.refused}"
        if ours.body != theirs.body and (ours.complete or not theirs.body.startswith(ours.body)):
            return f"the body was {ours.body!r}, in h11 {theirs.body!r}"
    if judged.refused and not (front.refused or front.waits):
        return f"h11 refuses this, the front does not say so: {judged.refused}"
    if len(front.complete) < len(judged.complete):
        if not front.refused:
            return "the front closed without saying why"
        rows = {name for name, (_, matches) in STRICTER.items() if matches(sent)}
        if not rows:
            return f"the front refuses what h11 takes: {front.refused}"
        used |= rows
    elif front.refused and not judged.refused and not judged.waits:
        return f"the front refuses after all: {front.refused}"
    return ""
