"""The HTTP front beside h11: what it reads of a connection, whole and cut; and a running one."""

from __future__ import annotations

import io
from collections.abc import Iterable
from contextlib import nullcontext
from functools import cache
from unittest import mock

from judging import Reading, Request, compare, understood
from judging.front import JudgedFront
from judging.generated import connections

from gfcgi import limits
from gfcgi.client.body import RequestBody
from gfcgi.client.http_head import BadRequest, read_head
from gfcgi.client.http_hosts import Hosts
from gfcgi.client.params import BadRequestTarget, cgi_params, header_params

from .harness import Harness, cuts

__all__ = ["HTTP", "HTTP_FRONT"]

ADDRESS = ("127.0.0.1", 80)
HOSTS = Hosts("127.0.0.1", ["x"])


class Pieces(io.RawIOBase):
    """A connection on which the bytes come in pieces."""

    def __init__(self, pieces: Iterable[bytes]) -> None:
        self._pieces = [piece for piece in pieces if piece]

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:
        if not self._pieces:
            return 0
        piece = self._pieces.pop(0)
        taken, left = piece[: len(buffer)], piece[len(buffer) :]
        if left:
            self._pieces.insert(0, left)
        buffer[: len(taken)] = taken
        return len(taken)


def read(pieces: Iterable[bytes]) -> Reading:
    """What the front understands, without its sockets."""
    file = io.BufferedReader(Pieces(pieces))
    reading = Reading()
    try:
        while (head := read_head(file)) is not None:
            environ = {
                "REQUEST_METHOD": head.method,
                "SERVER_PROTOCOL": head.protocol,
                **header_params(head),
            }
            if head.method == "CONNECT":
                raise BadRequest("no proxy")
            params = cgi_params(environ, head.target, server_address=ADDRESS)
            HOSTS.check(params.get("HTTP_HOST", ""), ADDRESS[0])
            request = Request(params)
            reading.requests.append(request)
            body = RequestBody(
                file,
                None,
                content_length=head.content_length,
                chunked=head.chunked,
                expect_continue=head.expects_continue,
            )
            if head.chunked or head.content_length:
                for piece in body._pieces():
                    request.body += piece
            request.complete = True
            if not head.persistent:
                break
    except EOFError:
        reading.waits = True
    except (BadRequest, BadRequestTarget) as error:
        reading.refused = str(error)
    return reading


def check(sent: bytes) -> None:
    reading = read([sent])
    for pieces in cuts(sent):
        assert read(pieces) == reading
    problem = compare(sent, understood(sent), reading, set())
    assert not problem, problem


@cache
def front() -> JudgedFront:
    """The one that all inputs are sent to; it ends with the process."""
    return JudgedFront()


def check_front(sent: bytes) -> None:
    judged = understood(sent)
    # Where h11 refuses before the front has seen enough, the front says so in the end.
    times = mock.patch.multiple(limits, HTTP_HEAD_SECONDS=0.5, HTTP_BODY_SECONDS=0.5)
    with times if judged.refused else nullcontext():
        reading = front().read(sent, judged)
    problem = compare(sent, judged, reading, set())
    assert not problem, problem


def seeds() -> list[bytes]:
    return [sent for number, sent in enumerate(connections()) if number % 7 == 0][:300]


WORDS = (
    b"\r\n",
    b"\n",
    b"\r",
    b"\0",
    b" ",
    b":",
    b"Content-Length: 3\r\n",
    b"Content-Length: 0\r\n",
    b"Transfer-Encoding: chunked\r\n",
    b"Host: x\r\n",
    b"Connection: close\r\n",
    b"HTTP/1.1",
    b"HTTP/1.0",
    b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
    b"3\r\nabc\r\n",
    b"0\r\n\r\n",
    b";a=b",
)

HTTP = Harness("http", check, seeds, WORDS)
HTTP_FRONT = Harness("http-front", check_front, seeds, WORDS, shares="http")
