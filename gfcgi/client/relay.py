"""Between a Web server and an application: pass everything on, and tell of every byte."""

from __future__ import annotations

import signal
import socket
import time
from collections.abc import Callable, Sequence
from typing import Final

import gevent
import gevent.event
import gevent.socket

from gfcgi import limits
from gfcgi.addresses import TCPAddress, UnixAddress
from gfcgi.client.recording import Piece, Side
from gfcgi.client.redaction import Redactor
from gfcgi.client.request import connect, cooperative

__all__ = ["Relay"]

STOP_SIGNALS: Final = (signal.SIGTERM, signal.SIGINT)


class Relay:
    """Accepts on ``listeners``, connects to ``address`` for each, and copies both ways.

    ``keep`` is called with each piece before it is passed on, ``say`` with what goes wrong. With
    ``redact`` the pieces hold no secrets; what is passed on is untouched.
    """

    def __init__(
        self,
        listeners: Sequence[socket.socket],
        address: UnixAddress | TCPAddress,
        *,
        keep: Callable[[Piece], None],
        say: Callable[[str], None],
        redact: bool,
    ) -> None:
        self._listeners = [cooperative(listener) for listener in listeners]
        self._address = address
        self._keep = keep
        self._say = say
        self._redact = redact
        self._connections = 0
        self._start = time.monotonic()
        self._stopped = gevent.event.Event()

    def run(self) -> int:
        """Relay until SIGTERM or SIGINT; return how many transport connections there were."""
        watchers = [gevent.signal_handler(signum, self._stopped.set) for signum in STOP_SIGNALS]
        accepting = [gevent.spawn(self._accept, listener) for listener in self._listeners]
        try:
            self._stopped.wait()
        finally:
            gevent.killall(accepting)
            for watcher in watchers:
                watcher.cancel()
        return self._connections

    def _accept(self, listener: socket.socket) -> None:
        while True:
            sock, _ = listener.accept()
            self._connections += 1
            gevent.spawn(self._connect, sock, self._connections)

    def _connect(self, web_server: socket.socket, number: int) -> None:
        try:
            application = connect(self._address)
        except OSError as error:
            self._say(f"{self._address}: {error.strerror or error}")
            web_server.close()
            return
        copying = [
            gevent.spawn(self._copy, web_server, application, number, "web server"),
            gevent.spawn(self._copy, application, web_server, number, "application"),
        ]
        gevent.joinall(copying)
        web_server.close()
        application.close()

    def _copy(self, source: socket.socket, to: socket.socket, number: int, sender: Side) -> None:
        redactor = Redactor() if self._redact else None
        while True:
            try:
                data = source.recv(limits.RECV_BYTES)
            except OSError:
                data = b""
            kept = redactor.redact(data) if redactor is not None else data
            self._keep(Piece(number, time.monotonic() - self._start, sender, kept))
            try:
                if not data:
                    to.shutdown(socket.SHUT_WR)
                    return
                to.sendall(data)
            except OSError:
                # It has left; whoever sends learns of it as without us.
                try:
                    source.shutdown(socket.SHUT_RDWR)
                except OSError:
                    pass
                return
