"""The two ends of the WSGI bridge for the tests: applications, and a request without a server.

Applications are served by a real server or called through a Gateway; ``Request`` stands in for the
connection below the gateway and keeps what the gateway does with it.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterable
from typing import Any

import gevent.event
import webserver_side as wire

from gfcgi.errors import RequestAborted

__all__ = ["Gate", "Pieces", "Request", "begin", "echo", "hello"]


def begin(
    request_id: int = 1, *, keep_conn: bool = True, role: int = wire.RESPONDER, **params: str
) -> bytes:
    """BEGIN_REQUEST and PARAMS: what makes the application run."""
    return wire.begin_request(request_id, role, keep_conn=keep_conn) + wire.params(
        request_id, wire.cgi_params(**params)
    )


def hello(environ: dict[str, Any], start_response: Callable[..., Any]) -> list[bytes]:
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"hello"]


def echo(environ: dict[str, Any], start_response: Callable[..., Any]) -> list[bytes]:
    """Answers with the whole body."""
    body = environ["wsgi.input"].read()
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [body]


class Gate:
    """An application that has begun, waits to be let on, and keeps what became of it.

    ``run`` may be another application; it decides then whether it waits for ``open``.
    """

    def __init__(self, run: Callable[..., Any] | None = None) -> None:
        self.begun = gevent.event.Event()
        self.open = gevent.event.Event()
        self.ended = gevent.event.Event()
        self.environ: Any = None
        self.error: BaseException | None = None
        self.run = run or self._wait

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Any:
        self.environ = environ
        self.begun.set()
        try:
            return self.run(environ, start_response)
        except BaseException as error:
            self.error = error
            raise
        finally:
            self.ended.set()

    def _wait(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> list[bytes]:
        self.open.wait()
        start_response("200 OK", [])
        return [b"through"]


class Pieces:
    """A request's input stream that gives ``pieces`` and then ends, or breaks off."""

    def __init__(self, pieces: Iterable[bytes] = (), *, broken: bool = False) -> None:
        self._pieces = [piece for piece in pieces if piece]
        self._broken = broken

    def read(self, most: int) -> bytes:
        assert most > 0
        if not self._pieces:
            if self._broken:
                raise RequestAborted("the stream broke off")
            return b""
        piece = self._pieces[0]
        if len(piece) > most:
            self._pieces[0] = piece[most:]
            return piece[:most]
        return self._pieces.pop(0)


class Request:
    """A request as the gateway sees it; ``calls`` are its (kind, bytes) in their order.

    The kinds are "stdout", "stderr", "file" and "end", of which the last comes once.
    """

    def __init__(
        self,
        params: dict[str, str] | None = None,
        body: bytes | Iterable[bytes] = b"",
        *,
        role: int = wire.RESPONDER,
        repeated: Iterable[tuple[str, str]] = (),
        data: Iterable[bytes] | None = None,
        broken: bool = False,
    ) -> None:
        self.params = dict(wire.cgi_params() if params is None else params)
        self.repeated = tuple(repeated)
        self.role = role
        self.stdin = Pieces([body] if isinstance(body, bytes) else body, broken=broken)
        self.data = None if data is None else Pieces(data)
        self.aborted = threading.Event()
        self.calls: list[tuple[str, bytes]] = []
        self.app_status: int | None = None
        self.timed_out = False
        self.lost = False
        self.keep_conn = True
        self.turns = 0
        self.way = ""

    def abort(self) -> None:
        """The Web server gives the request up (§5.4)."""
        self.aborted.set()
        self.lost = True

    def write(self, data: Any) -> None:
        assert len(data), "an empty STDOUT record is the stream's end"
        self._call("stdout", data)

    def write_error(self, data: Any) -> None:
        assert len(data), "an empty STDERR record is the stream's end"
        self._call("stderr", data)

    def send_file(self, fileno: int, offset: int, count: int) -> None:
        self._call("file", os.pread(fileno, count, offset))

    def finish(self, data: Any = b"", app_status: int = 0) -> None:
        self._call("end", data)
        self.app_status = app_status

    def give_way(self) -> None:
        if self.lost or self.app_status is not None:
            raise RequestAborted("the Web server has gone, or was answered")
        self.turns += 1

    def cut(self, way: str) -> None:
        self.finish(app_status=1)
        self.way = way

    def _call(self, kind: str, data: Any) -> None:
        if self.lost or self.app_status is not None:
            raise RequestAborted("the Web server has gone, or was answered")
        self.calls.append((kind, bytes(data)))

    # -- what came of it

    @property
    def stdout(self) -> bytes:
        return b"".join(data for kind, data in self.calls if kind != "stderr")

    @property
    def stderr(self) -> str:
        return b"".join(data for kind, data in self.calls if kind == "stderr").decode()

    @property
    def response(self) -> wire.Response:
        """Headers and body as the Web server's side reads them, of a request that has ended."""
        assert self.app_status is not None, "the request has no end"
        return wire.Response(1, bytearray(self.stdout))
