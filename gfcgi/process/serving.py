"""Serve an application on listeners until a signal says stop, then clean up."""

from __future__ import annotations

import os
import socket
import sys
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from functools import partial
from typing import TYPE_CHECKING, Any, NoReturn

from gfcgi._version import __version__
from gfcgi.addresses import TCPAddress, is_loopback, parse_host_port
from gfcgi.errors import ConfigError
from gfcgi.options import Options
from gfcgi.process.descriptors import make_room
from gfcgi.process.inherited import Latecomers
from gfcgi.process.listeners import Listener, private_listener
from gfcgi.process.log import log, show_tracebacks_once
from gfcgi.process.memory import keep_freed_memory
from gfcgi.process.signals import StopSignals

if TYPE_CHECKING:
    from gfcgi.server import Server
    from gfcgi.webserver.http import HttpFront

__all__ = ["serve"]


def serve(
    application: Callable[..., Any],
    options: Options,
    listeners: Sequence[Listener],
    *,
    name: str,
    started: str,
    http: str | None = None,
) -> None:
    """Serve until stopped and drained, and leave nothing behind. May take hours.

    ``name`` is the application's and ``started`` how this process was started, for the log;
    ``http`` is where to answer HTTP besides. The standard library is patched by now, if it is to
    be. Raises ConfigError if the address for HTTP cannot be had.
    """
    from gfcgi.server import Server

    with ExitStack() as cleaning:
        for listener in listeners:
            cleaning.callback(listener.close)
        every = list(listeners)
        front = None
        if http is not None:
            private = private_listener(options)
            cleaning.callback(private.close)
            every.append(private)
            front = _start_front(http, options, private)
            cleaning.callback(front.stop)
            if not listeners:
                show_tracebacks_once()
        make_room(options)
        keep_freed_memory()
        inherited = any(listener.inherited for listener in every)
        server = Server(
            application,
            [listener.socket for listener in every],
            options,
            multiprocess=inherited,
            still_expected=_latecomers(listeners, options),
        )
        signals = StopSignals(
            partial(_stop, server, options), partial(_end_at_once, every), managed=inherited
        )
        with signals.handled():
            log.info("gfcgi %s serves %s: %s, process %d", __version__, name, started, os.getpid())
            for listener in listeners:
                _say_where(listener, options)
            if front is not None:
                _say_open(front)
            server.serve()
        for signum in signals.received[:1]:
            log.info("stopped by %s", signum.name)


def _latecomers(listeners: Sequence[Listener], options: Options) -> Callable[[], bool] | None:
    """Who tells the server after a stop whether somebody may still connect; None: nobody may."""
    for listener in listeners:
        if listener.fleeting:
            return Latecomers(listener.socket, options.graceful_timeout_seconds).expected
    return None


def _stop(server: Server, options: Options) -> None:
    """Stop in order, from within a signal handler, and tell who waits for what."""
    server.stop()
    running = server.active_requests
    if running and sys.stderr is not None:  # if it was closed at the start, 2 is something else now
        line = (
            f"gfcgi[{os.getpid()}]: stopping; requests still running: {running}, for at most"
            f" {options.graceful_timeout_seconds:g} seconds; once more stops at once\n"
        )
        try:
            os.write(2, line.encode())  # logging takes locks, which the interrupted code may hold
        except OSError:
            pass


def _end_at_once(listeners: Sequence[Listener], signum: int) -> NoReturn:
    """End the process from within a signal handler, whatever runs."""
    for listener in listeners:
        if listener.file is not None:
            listener.file.remove()
    os._exit(128 + signum)


def _start_front(http: str, options: Options, private: Listener) -> HttpFront:
    from gfcgi.webserver.http import HttpFront

    place = private.socket.getsockname()

    def connect() -> socket.socket:
        sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            sock.connect(place)
        except BaseException:
            sock.close()
            raise
        return sock

    front = HttpFront(parse_host_port(http), connect)
    try:
        front.start()
    except OSError as error:
        # socket.create_server repeats the address.
        reason = (error.strerror or str(error)).partition(" (while attempting")[0]
        raise ConfigError(
            f"{http}: {reason}", option="http", source=options.source_of("http")
        ) from None
    return front


def _say_where(listener: Listener, options: Options) -> None:
    log.info("listening on %s", listener.name)
    if listener.open_to_all and not options.allow_from:
        log.warning(
            "other machines can reach %s, and are turned away: GFCGI_ALLOW_FROM or allow_from= says"
            " which Web servers may connect",
            listener.name,
        )


def _say_open(front: HttpFront) -> None:
    host, port = front.address
    if not is_loopback(host):
        log.warning("%s answers HTTP to other machines; it is meant for development", host)
    line = f"open http://{TCPAddress(host, port)}/ in a browser"
    try:
        if sys.stdout is not None:
            print(line, flush=True)
    except OSError:
        log.info("%s", line)
