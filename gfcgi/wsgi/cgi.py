"""One request as CGI/1.1 (RFC 3875): the same script where FastCGI is not set up."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

from gfcgi import limits
from gfcgi.errors import RequestAborted
from gfcgi.protocol.records import Role
from gfcgi.wsgi.gateway import Application, Gateway
from gfcgi.wsgi.rules import Rules

if TYPE_CHECKING:
    from gfcgi.options import Options
    from gfcgi.protocol.events import Bytes
    from gfcgi.protocol.params import Pairs

__all__ = ["serve_cgi"]

_STDIN, _STDOUT, _STDERR = 0, 1, 2


def serve_cgi(application: Application, options: Options | None = None) -> None:
    """Answer the request in this process's environment, on descriptors 0, 1 and 2."""
    gateway = Gateway(
        application,
        multithread=False,
        multiprocess=True,
        run_once=True,
        debug=options is not None and options.debug,
        rules=None if options is None else Rules(options.script_name, options.trusted_proxies),
    )
    # What the application prints must not get into the response.
    sys.stdout = sys.stderr
    # A request header named Proxy, where HTTP libraries look for their proxy ("httpoxy").
    os.environ.pop("HTTP_PROXY", None)
    request = CgiRequest()
    gateway(request)
    request.stdin.drain(limits.MAX_DRAIN_BYTES if options is None else options.max_drain_bytes)


class _Never:
    """CGI says nothing of a client that left; a write fails then."""

    def is_set(self) -> bool:
        return False

    def wait(self, timeout: float | None = None) -> bool:
        if timeout is None:
            raise RuntimeError("a CGI request is never told that it is aborted")
        return False


class _Stdin:
    def __init__(self) -> None:
        self._taken = 0

    def read(self, most: int) -> bytes:
        piece = os.read(_STDIN, most)
        self._taken += len(piece)
        return piece

    def drain(self, most: int) -> None:
        """Read what the application has left of the body, at most ``most`` bytes.

        Apache's mod_cgid loses the answer of a script that ends with its body unread.
        """
        length = os.environb.get(b"CONTENT_LENGTH", b"")
        # Without a length nothing says that there is anything, or an end, to wait for.
        known = length.isdigit() and len(length) < 19
        left = min(int(length) - self._taken, most) if known else 0
        while left > 0 and (piece := self.read(min(65_536, left))):
            left -= len(piece)


class CgiRequest:
    """The gateway's request over a CGI process's three descriptors."""

    def __init__(self) -> None:
        self.role = int(Role.RESPONDER)
        self.params = {
            name.decode("latin-1"): value.decode("latin-1") for name, value in os.environb.items()
        }
        self.repeated: Pairs = ()
        self.stdin = _Stdin()
        self.data = None
        self.aborted = _Never()
        self.timed_out = False

    def write(self, data: Bytes) -> None:
        _write_all(_STDOUT, data)

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

    def finish(self, data: Bytes = b"", app_status: int = 0) -> None:
        if len(data):
            self.write(data)


def _write_all(descriptor: int, data: Bytes) -> None:
    view = memoryview(data)
    try:
        while view:
            view = view[os.write(descriptor, view) :]
    except BrokenPipeError as error:
        raise RequestAborted("the Web server has closed the pipe") from error
