"""Send bytes to a running HTTP front and see what the application gets of them."""

from __future__ import annotations

import re
import socket
from contextlib import suppress

import gevent
import gevent.socket
from application_side import HEAD, Accepted, Application

from gfcgi.client.http import HttpFront

from . import Reading, Request

__all__ = ["JudgedFront"]

SECONDS_EACH = 30
"""How long the front may take for what is sent on one connection."""

FINAL_STATUS = re.compile(rb"HTTP/1\.1 ([2-5][0-9]{2}) ")


class JudgedFront:
    """A started front that answers to the name ``x``. Its application says nothing but "ok"."""

    def __init__(self) -> None:
        self._reading = Reading()
        self._application = Application(self._script)
        self._front = HttpFront(
            ("127.0.0.1", 0),
            self._reach,
            on_error_log=lambda line: None,
            allowed_hosts=["x"],
        )
        self._front.start()

    def stop(self) -> None:
        """End it, and what still runs."""
        self._front.stop()

    def read(self, sent: bytes, judged: Reading) -> Reading:
        """Return the requests that the application got of ``sent``, and the last refusal.

        ``judged`` says how much there is to wait for. Raises: AssertionError if the front neither
        answers as much nor says what is wrong.
        """
        self._reading = reading = Reading()
        self._application = Application(self._script)
        received = b""
        try:
            with gevent.Timeout(SECONDS_EACH), self._connected() as sock:
                sock.sendall(sent)
                expected = len(judged.complete)
                while judged.refused or len(FINAL_STATUS.findall(received)) < expected:
                    try:
                        data = sock.recv(65536)
                    except ConnectionResetError:
                        data = b""
                    if not data:
                        break
                    received += data
                # Nothing of this connection may come into the next reading: wait for its end.
                with suppress(OSError):
                    sock.shutdown(socket.SHUT_WR)
                    while sock.recv(65536):
                        pass
        except gevent.Timeout:
            raise AssertionError(f"the front says nothing after {received!r}") from None
        self._application.join()
        statuses = [status.decode() for status in FINAL_STATUS.findall(received)]
        reading.refused = statuses[-1] if statuses and statuses[-1] >= "400" else ""
        return reading

    def _reach(self) -> socket.socket:
        return self._application.connect()

    def _connected(self) -> socket.socket:
        return gevent.socket.create_connection(self._front.address)

    def _script(self, request: Accepted) -> None:
        got = Request(request.params)
        self._reading.requests.append(got)
        while (one := request.receive()) is not None:
            got.body += one.content
            if not one.content:
                got.complete = True
                request.stdout(HEAD + b"ok")
                request.end()
                return
