"""The application of a ``RunningServer``: each path does one thing that a test needs done.

Where a query says ``key=K``, the application notes under K how far it is, for the test to see.
"""

from __future__ import annotations

import hashlib
import json
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from typing import Any
from urllib.parse import parse_qsl

import gevent
import gevent.event

from gfcgi.errors import RequestAborted

Environ = dict[str, Any]
StartResponse = Callable[..., Callable[[bytes], object]]

Event: Callable[[], Any] = gevent.event.Event
pause: Callable[[float], None] = gevent.sleep
notes: dict[str, Any] = {}
_gates: dict[str, Any] = {}


def ways_to_wait(*, threads: bool) -> tuple[Callable[[], Any], Callable[[float], None]]:
    """The event and the sleep with which an application waits, in threads or in greenlets."""
    return (threading.Event, time.sleep) if threads else (gevent.event.Event, gevent.sleep)


def gate(key: str) -> Any:
    """What requests with this key wait for, and a test opens."""
    return _gates.setdefault(key, Event())


def application(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
    query = dict(parse_qsl(environ["QUERY_STRING"]))
    if "SERVER_SOFTWARE" not in environ:
        # A script of the corpus: it is over when the Web server leaves, or is refused.
        page = until_aborted
    else:
        page = PAGES.get(environ["PATH_INFO"].strip("/") or "hello", not_found)
    try:
        return page(environ, start_response, query)
    except RequestAborted:
        note(query, "aborted")
        raise


def note(query: dict[str, str], value: object) -> None:
    if "key" in query:
        notes[query["key"]] = value


def ok(start_response: StartResponse, kind: str = "text/plain") -> Callable[[bytes], object]:
    return start_response("200 OK", [("Content-Type", kind)])


def hello(environ: Environ, start_response: StartResponse, query: dict[str, str]) -> list[bytes]:
    """Answer at once, without a look at the body."""
    ok(start_response)
    note(query, "answered")
    return [b"hello " + query.get("name", "world").encode()]


def not_found(
    environ: Environ, start_response: StartResponse, query: dict[str, str]
) -> list[bytes]:
    """Whatever a recorded request asks for."""
    start_response("404 Not Found", [("Content-Type", "text/plain")])
    return [b"not here"]


def show(environ: Environ, start_response: StartResponse, query: dict[str, str]) -> list[bytes]:
    """The strings of environ, as JSON."""
    ok(start_response, "application/json")
    strings = {name: value for name, value in environ.items() if isinstance(value, str)}
    return [json.dumps(strings).encode()]


def echo(environ: Environ, start_response: StartResponse, query: dict[str, str]) -> list[bytes]:
    """The body, read to its end, and after it a Filter's file."""
    body = environ["wsgi.input"].read()
    if "gfcgi.data" in environ:
        body += b"|" + environ["gfcgi.data"].read()
    ok(start_response)
    return [body]


def digest(environ: Environ, start_response: StartResponse, query: dict[str, str]) -> list[bytes]:
    """Length and hash of the body, read in pieces; noted as it goes."""
    hashed, length = hashlib.sha256(), 0
    note(query, "reading")
    while piece := environ["wsgi.input"].read(8192):
        hashed.update(piece)
        length += len(piece)
    ok(start_response)
    note(query, "read")
    return [f"{length} {hashed.hexdigest()}".encode()]


def part(environ: Environ, start_response: StartResponse, query: dict[str, str]) -> list[bytes]:
    """Read ``bytes`` of the body, say so, then wait for the gate before the rest is read."""
    piece = environ["wsgi.input"].read(int(query.get("bytes", "0")))
    note(query, "waiting")
    gate(query["key"]).wait()
    rest = environ["wsgi.input"].read()
    ok(start_response)
    note(query, "read")
    return [f"{len(piece)} {len(rest)}".encode()]


def wait(environ: Environ, start_response: StartResponse, query: dict[str, str]) -> list[bytes]:
    """Wait for the gate, then answer."""
    note(query, "waiting")
    gate(query["key"]).wait()
    ok(start_response)
    note(query, "answered")
    return [b"waited " + query["key"].encode()]


def until_aborted(
    environ: Environ, start_response: StartResponse, query: dict[str, str]
) -> list[bytes]:
    """Wait until the Web server gives the request up."""
    note(query, "waiting")
    environ["gfcgi.aborted"].wait()
    note(query, "told")
    environ["wsgi.input"].read(1)
    return hello(environ, start_response, query)


class Chunks:
    """``count`` chunks of ``size`` bytes; notes how many were taken, and that it was closed."""

    def __init__(self, query: dict[str, str]) -> None:
        self.query = query
        self.taken = 0

    def __iter__(self) -> Iterator[bytes]:
        chunk = self.query.get("letter", "x").encode() * int(self.query.get("size", "65536"))
        for _ in range(int(self.query["count"])):
            note(self.query, self.taken)
            yield chunk
            self.taken += 1
            if "yield" in self.query:
                pause(0)

    def close(self) -> None:
        note(self.query, f"closed after {self.taken}")


def chunks(environ: Environ, start_response: StartResponse, query: dict[str, str]) -> Chunks:
    """A long response."""
    ok(start_response)
    return Chunks(query)


def stderr(environ: Environ, start_response: StartResponse, query: dict[str, str]) -> list[bytes]:
    """A line to wsgi.errors, then wait for the gate, then answer."""
    environ["wsgi.errors"].write("something to say\n")
    gate(query["key"]).wait()
    return hello(environ, start_response, query)


def fail(environ: Environ, start_response: StartResponse, query: dict[str, str]) -> list[bytes]:
    raise ValueError("on purpose")


PAGES = {
    "hello": hello,
    "show": show,
    "echo": echo,
    "digest": digest,
    "part": part,
    "wait": wait,
    "until_aborted": until_aborted,
    "chunks": chunks,
    "stderr": stderr,
    "fail": fail,
}
