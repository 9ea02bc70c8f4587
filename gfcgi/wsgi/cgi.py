"""Serve one request as CGI/1.1 (RFC 3875): the same script works where FastCGI is not set up."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

from gfcgi import limits
from gfcgi.errors import RequestAborted
from gfcgi.http_fields import parse_length
from gfcgi.protocol.records import Role
from gfcgi.unfailing_log import Log
from gfcgi.wsgi.gateway import Application, Gateway
from gfcgi.wsgi.observed import Observed, Observer, Observers
from gfcgi.wsgi.webserver_rules import Rules

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gfcgi.options import Options
    from gfcgi.protocol.events import Bytes
    from gfcgi.protocol.params import Pairs

__all__ = ["serve_cgi"]

log = Log("gfcgi.wsgi")

_STDIN, _STDOUT, _STDERR = 0, 1, 2


def serve_cgi(
    application: Application, options: Options | None = None, observers: Sequence[Observer] = ()
) -> None:
    """Answer the request that this process was started for.

    Its params are the environment, its streams the descriptors 0, 1 and 2. ``observers`` are told
    of its begin and end.
    """
    gateway = Gateway(
        application,
        multithread=False,
        multiprocess=True,
        run_once=True,
        debug=options is not None and options.debug,
        rules=None
        if options is None
        else Rules(options.script_name, options.trusted_proxies, options.rules),
    )
    # What the application prints must not get into the response.
    sys.stdout = sys.stderr
    # It is the client's header Proxy, and HTTP libraries take their proxy from it ("httpoxy").
    os.environ.pop("HTTP_PROXY", None)
    request = CgiRequest()
    told = Observers(observers, _observer_failed) if observers else None
    if told is not None:
        request.observed = Observed(request.params, request)
        told.begin(request.observed)
    try:
        gateway(request)
        request.stdin.drain(limits.MAX_DRAIN_BYTES if options is None else options.max_drain_bytes)
    finally:
        if told is not None and request.observed is not None:
            told.end(request.observed)


def _observer_failed(error: BaseException, name: str) -> None:
    log.error("%s: an observer of requests failed", name, exc_info=error)


class _Never:
    """An abort event that is never set: under CGI only a write fails when the client has left."""

    def is_set(self) -> bool:
        return False

    def wait(self, timeout: float | None = None) -> bool:
        if timeout is None:
            raise RuntimeError("a CGI request is never told that it is aborted")
        return False


class _Stdin:
    def __init__(self) -> None:
        self.received = 0

    def read(self, most: int) -> bytes:
        piece = os.read(_STDIN, most)
        self.received += len(piece)
        return piece

    def drain(self, most: int) -> None:
        """Read and drop the rest of the body, at most ``most`` bytes.

        Apache's mod_cgid loses the answer of a script that ends before it has read its body.
        """
        length = parse_length(os.environ.get("CONTENT_LENGTH", ""))
        # Without a length a read could wait for ever: nothing says where the body ends.
        left = 0 if length is None else min(length - self.received, most)
        while left > 0 and (piece := self.read(min(65_536, left))):
            left -= len(piece)


class CgiRequest:
    """Implements ``gfcgi.wsgi.request.Request`` on the three descriptors of a CGI process."""

    def __init__(self) -> None:
        self.role = int(Role.RESPONDER)
        self.keep_conn = False
        self.params = {
            name.decode("latin-1"): value.decode("latin-1") for name, value in os.environb.items()
        }
        self.repeated: Pairs = ()
        self.stdin = _Stdin()
        self.data = None
        self.aborted = _Never()
        self.timed_out = False
        self.observed: Observed | None = None

    def write(self, data: Bytes) -> None:
        try:
            _write_all(_STDOUT, data)
        except RequestAborted:
            if self.observed is not None:
                self.observed.cut = True
            raise
        if self.observed is not None:
            self.observed.count(data)

    def write_error(self, data: Bytes) -> None:
        _write_all(_STDERR, data)

    def send_file(self, fileno: int, offset: int, count: int) -> None:
        end = offset + count
        while offset < end:
            piece = os.pread(fileno, min(65_536, end - offset), offset)
            if not piece:
                raise OSError(f"the file became {end - offset} bytes shorter while it was sent")
            self.write(piece)
            offset += len(piece)

    def give_way(self) -> None:
        """There is no other request."""

    def finish(self, data: Bytes = b"", app_status: int = 0) -> None:
        if len(data):
            self.write(data)

    def cut(self, way: str) -> None:
        """The response ends with the process; the Web server learns nothing else."""
        if self.observed is not None:
            self.observed.cut = True


def _write_all(descriptor: int, data: Bytes) -> None:
    view = memoryview(data)
    try:
        while view:
            view = view[os.write(descriptor, view) :]
    except BrokenPipeError as error:
        raise RequestAborted("the Web server has closed the pipe") from error
