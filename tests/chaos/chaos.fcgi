#!/usr/bin/env python3
"""The application: each path does one thing, and each answer tells the number of its request."""

import hashlib
import os
import time
from urllib.parse import parse_qs

WITNESS = os.open(os.environ["WITNESS"], os.O_WRONLY)


def tell(what, number):
    """Tell the run, in one write, what this process does."""
    os.write(WITNESS, f"{what} {os.getpid()} {number}\n".encode())


def text_of(number, size):
    """The same bytes for the same number, and others for another one."""
    block = hashlib.sha256(number.encode()).hexdigest().encode()
    return (block * (size // len(block) + 1))[:size]


def answer(environ, number, size):
    return text_of(number, size)


def slow(environ, number, size):
    time.sleep(0.2)
    return text_of(number, size)


def upload(environ, number, size):
    """Tell the number, and length and digest of the body."""
    digest, length = hashlib.sha256(), 0
    while piece := environ["wsgi.input"].read(65536):
        digest.update(piece)
        length += len(piece)
    return f"{number} {length} {digest.hexdigest()}".encode()


def late_upload(environ, number, size):
    """The same, but the body is not read for a while, and waits on disk if others are beside it."""
    time.sleep(0.3)
    return upload(environ, number, size)


def block(environ, number, size):
    """Keep everybody waiting."""
    until = time.monotonic() + 0.1
    while time.monotonic() < until:
        pass
    return text_of(number, size)


def fork(environ, number, size):
    child = os.fork()
    if child == 0:
        os._exit(0)
    os.waitpid(child, 0)
    return text_of(number, size)


def fail(environ, number, size):
    raise RuntimeError("meant: before the response")


def cut(environ, number, size):
    def body():
        yield text_of(number, size // 2)
        raise RuntimeError("meant: within the response")

    return body()


PAGES = {
    "/" + page.__name__.replace("_", "-"): page
    for page in (answer, slow, upload, late_upload, block, fork, fail, cut)
}


def application(environ, start_response):
    query = parse_qs(environ["QUERY_STRING"])
    number, size = query["number"][0], int(query["size"][0])
    tell("begin", number)
    try:
        body = PAGES[environ["PATH_INFO"]](environ, number, size)
    finally:
        tell("end", number)
    length = size if not isinstance(body, bytes) else len(body)
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", str(length))])
    return [body] if isinstance(body, bytes) else body


if __name__ == "__main__":
    import gfcgi

    gfcgi.run(application)
