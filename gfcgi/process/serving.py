"""Serve an application on listeners until a signal says stop, then clean up."""

from __future__ import annotations

import os
import signal
import socket
import sys
from collections.abc import Callable, Sequence
from contextlib import ExitStack, nullcontext
from functools import partial
from typing import TYPE_CHECKING, Any, NoReturn

from gfcgi._version import __version__
from gfcgi.addresses import TCPAddress, is_loopback, parse_host_port
from gfcgi.cooperative.imports import lazy_loaders_put_off
from gfcgi.errors import ConfigError
from gfcgi.options import Options
from gfcgi.process import watchdog
from gfcgi.process.accept_grace import AcceptGrace
from gfcgi.process.built import build, show_lines
from gfcgi.process.descriptors import raise_nofile_limit
from gfcgi.process.listeners import Listener, private_listener
from gfcgi.process.log import log, show_tracebacks_once
from gfcgi.process.memory import keep_freed_memory
from gfcgi.process.parents import Starter
from gfcgi.process.renewal import KeptSockets, passed_on, start_again
from gfcgi.process.request_logs import RequestLogs
from gfcgi.process.service_manager import ServiceManager
from gfcgi.process.signals import REPEAT_SECONDS, StopSignals, block, unblock
from gfcgi.process.stacks import described
from gfcgi.process.status import status_of
from gfcgi.process.unread_output import write_now
from gfcgi.process.upkeep import Upkeep

if TYPE_CHECKING:
    from gfcgi.client.http import HttpFront
    from gfcgi.server import Server

__all__ = ["serve"]


def serve(
    application: Callable[..., Any],
    options: Options,
    listeners: Sequence[Listener],
    *,
    name: str,
    started: str,
    http: str | None = None,
    starter: Starter = Starter.OTHER,
) -> signal.Signals | None:
    """Serve until stopped and drained, and leave nothing behind. May take hours.

    Returns: the signal that stopped it.

    ``name`` is the application's name and ``started`` says how this process was started, both for
    the log; ``http`` is where to answer HTTP as well; ``starter`` is who has started this process.
    The standard library has been patched by now. If the process is renewed, this does not return.
    Raises ConfigError if it cannot listen for HTTP.
    """
    # Patching has loaded gevent before, but not where nothing is patched.
    with lazy_loaders_put_off():
        from gfcgi.server import Server

    with ExitStack() as cleaning:
        for listener in listeners:
            cleaning.callback(listener.close)
        every = list(listeners)
        front = None
        development = cleaning.enter_context(ExitStack())
        if http is not None:
            private = private_listener(options)
            development.callback(private.close)
            every.append(private)
            front = _start_front(http, options, private)
            development.callback(front.stop)
            if not listeners:
                show_tracebacks_once()
        if starter is Starter.WEB_SERVER:
            show_tracebacks_once()  # FCGI_STDERR goes to the same error log
        raise_nofile_limit(options)
        keep_freed_memory()
        inherited = any(listener.inherited for listener in every)
        status = status_of(options, others=inherited)
        manager = ServiceManager()
        logs = RequestLogs(options)
        cleaning.callback(logs.close)
        upkeep = Upkeep(
            application,
            options,
            name=name,
            manager=manager,
            sockets=lambda: _sockets(listeners, front, http),
            stopped=lambda: bool(signals.received),
            stop=lambda: _stop_for_renewal(servers[-1], front, options),
            reopen=logs.reopen,
        )
        grace = _accept_grace(listeners, options)
        counted = upkeep.counted(application)
        servers: list[Server] = []  # the last one serves

        def new_server(listeners: Sequence[Listener]) -> None:
            servers.append(
                Server(
                    counted,
                    [listener.socket for listener in listeners],
                    options,
                    multiprocess=inherited,
                    still_expected=grace and (lambda: not upkeep.renewing and grace()),
                    # Who has started us reads its pages anew at once, and keeps no connections.
                    may_accept=upkeep.may_accept if starter is Starter.WEB_SERVER else None,
                    observers=(*logs.observers, *(() if status is None else status.observers)),
                    own_pages=None if status is None else status.pages,
                    stack_of=described,
                )
            )
            if status is not None:
                status.watch(servers[-1])

        new_server(every)
        signals = StopSignals(
            lambda: _stop(servers[-1], options, manager, signals.received[0]),
            partial(_end_at_once, every),
            managed=inherited,
            renew=partial(upkeep.ask, "SIGHUP") if starter is Starter.OTHER else None,
            reopen=upkeep.reopen if starter is Starter.OTHER else None,
        )
        show_lines()
        with signals:
            watchdog.watch_loop(
                partial(_remove_files, every),
                signals.stopping,
                REPEAT_SECONDS if inherited else 0,
                slow=logs.slow,
            )
            threads = f", threads: {options.threads}" if options.threads else ""
            log.info(
                "gfcgi %s (%s) serves %s: %s, process %d%s",
                *(__version__, build(), name, started, os.getpid(), threads),
            )
            for listener in listeners:
                _say_where(listener, options)
            if front is not None:
                _say_open(front)
            manager.ready()  # who connects now waits in the backlog
            while True:
                with upkeep, manager, logs, status or nullcontext():
                    servers[-1].serve()
                if upkeep.kept is None or signals.received:
                    break
                # The development server does not go on with the old version.
                if front is not None or upkeep.can_still_be_loaded() or signals.received:
                    development.close()
                    _start_again(upkeep.kept, signals)
                    break
                listeners = [
                    listener._replace(socket=socket.socket(fileno=fd))
                    for listener, fd in zip(listeners, upkeep.resume(), strict=True)
                ]
                for listener in listeners:
                    cleaning.callback(listener.close)
                new_server(listeners)
                if signals.received:  # after the look: it stopped the server before this one
                    servers[-1].stop()
                else:
                    manager.ready()
        if options.threads and servers[-1].active_requests:
            _end_without_threads()
        for signum in signals.received[:1]:
            log.info("stopped by %s", signum.name)
            return signum
    return None


def _end_without_threads() -> None:
    """Have the process end by itself, after its exit handlers, though a thread does not return.

    Python would tear down what the thread uses, and may wait for a lock that it holds.
    """
    import atexit

    from gfcgi.process.renewal import run_exit_handlers

    def end() -> None:
        atexit.unregister(end)
        run_exit_handlers()
        os._exit(0)

    atexit.register(end)


def _sockets(
    listeners: Sequence[Listener], front: HttpFront | None, http: str | None
) -> list[tuple[str, int]]:
    """What a renewed process goes on with: see ``KeptSockets``."""
    sockets = [(listener.came_as, listener.socket.fileno()) for listener in listeners]
    if front is not None:
        sockets.append((f"http:{http}", front.fileno()))
    return sockets


def _stop_for_renewal(server: Server, front: HttpFront | None, options: Options) -> None:
    if front is not None:
        front.stop(options.graceful_timeout_seconds)  # its requests come to the server
    server.stop()


def _start_again(kept: KeptSockets, signals: StopSignals) -> None:
    """Go on as a new process, unless a signal has stopped this one meanwhile."""
    block()
    try:
        if not signals.received:
            start_again(kept)
    except OSError as error:
        log.error("cannot start again: %s", error)
    finally:
        unblock()
    kept.close()


def _accept_grace(listeners: Sequence[Listener], options: Options) -> Callable[[], bool] | None:
    """What the server asks after a stop: may somebody still connect? None if nobody may."""
    for listener in listeners:
        if listener.removed_on_stop:
            return AcceptGrace(listener.socket, options.graceful_timeout_seconds).expected
    return None


def _stop(
    server: Server, options: Options, manager: ServiceManager, signum: signal.Signals
) -> None:
    """Stop in order, and tell the person who waits for it. A signal handler calls this."""
    watchdog.stopping(signum)
    server.stop()
    manager.stopping()
    running = server.active_requests + server.waiting_requests
    if running and sys.stderr is not None:  # None: a script's import may have opened 2 anew
        line = (
            f"gfcgi[{os.getpid()}]: stopping; requests still running: {running}, for at most"
            f" {options.graceful_timeout_seconds:g} seconds; once more stops at once\n"
        )
        try:
            write_now(2, line.encode())  # logging takes locks, which the interrupted code may hold
        except OSError:
            pass


def _end_at_once(listeners: Sequence[Listener], signum: int) -> NoReturn:
    """End the process, whatever runs. A signal handler calls this."""
    _remove_files(listeners)
    os._exit(128 + signum)


def _remove_files(listeners: Sequence[Listener]) -> None:
    for listener in listeners:
        if listener.file is not None:
            listener.file.remove()


def _start_front(http: str, options: Options, private: Listener) -> HttpFront:
    from gfcgi.client.http import HttpFront

    place = private.socket.getsockname()

    def connect() -> socket.socket:
        sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            sock.connect(place)
        except BaseException:
            sock.close()
            raise
        return sock

    kept = passed_on.pop(f"http:{http}", ())
    listener = socket.socket(fileno=kept[0]) if kept else None
    front = HttpFront(
        parse_host_port(http), connect, listener=listener, allowed_hosts=options.http_host
    )
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
