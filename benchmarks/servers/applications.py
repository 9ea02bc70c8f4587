"""The applications. Every server serves the same ones."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from typing import Any

HELLO = b"Hello, world!\n"
PIECE = b"d" * 65536
PIECES = 1600
"""100 MB."""

Environ = dict[str, Any]
StartResponse = Callable[..., Any]


def hello(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
    headers = [("Content-Type", "text/plain"), ("Content-Length", str(len(HELLO)))]
    start_response("200 OK", headers)
    return [HELLO]


def upload(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
    """Read the whole body by 64 KB and answer with its length."""
    stream = environ["wsgi.input"]
    left = int(environ["CONTENT_LENGTH"])
    received = 0
    while left and (piece := stream.read(min(left, 65536))):
        received += len(piece)
        left -= len(piece)
    body = b"%d bytes\n" % received
    headers = [("Content-Type", "text/plain"), ("Content-Length", str(len(body)))]
    start_response("200 OK", headers)
    return [body]


def download(environ: Environ, start_response: StartResponse) -> Iterator[bytes]:
    """Answer with 100 MB in pieces of 64 KB."""
    headers = [
        ("Content-Type", "application/octet-stream"),
        ("Content-Length", str(PIECES * len(PIECE))),
    ]
    start_response("200 OK", headers)
    for _ in range(PIECES):
        yield PIECE


def compute(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
    """Answer after some 2 ms of Python, as a small page of a real application takes."""
    total = 0
    for number in range(40_000):
        total ^= number
    return hello(environ, start_response)


def sleep_one(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
    time.sleep(1)
    return hello(environ, start_response)


def sleep_six(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
    time.sleep(6)
    return hello(environ, start_response)
