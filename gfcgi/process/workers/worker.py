"""gunicorn's worker: one of several processes that gunicorn has forked, which serves FastCGI.

gunicorn stops it by SIGTERM, and replaces it when it has given no sign of life for ``timeout``
seconds. The sign comes from the event loop: a loop that stands still is a dead worker. gunicorn
sends SIGABRT then, and the stack goes to the log.
"""

from __future__ import annotations

import logging
import os
import queue
import signal
import socket
import sys
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import replace
from datetime import timedelta
from types import FrameType
from typing import TYPE_CHECKING, Any, Final

from gunicorn.arbiter import Arbiter
from gunicorn.glogging import Logger
from gunicorn.workers import base

from gfcgi.errors import ConfigError
from gfcgi.options import Options
from gfcgi.process import watchdog
from gfcgi.process.broken import BrokenApplication
from gfcgi.process.built import show_lines
from gfcgi.process.descriptors import raise_nofile_limit
from gfcgi.process.log import log, set_up_logging, write_at_once
from gfcgi.process.memory import keep_freed_memory, resident_bytes
from gfcgi.process.patching import (
    leave_alone,
    patch,
    settle,
    warn_of_late_modules,
    warn_of_late_options,
)
from gfcgi.process.request_logs import RequestLogs
from gfcgi.process.stacks import described, place_of, stack_of
from gfcgi.process.status import shared, status_of_one_of_several
from gfcgi.process.unread_output import never_wait_for_readers
from gfcgi.process.workers.requests import (
    HookRequest,
    HookResponse,
    environ_for_log,
)

if TYPE_CHECKING:
    from gfcgi.process.status.pages import Status
    from gfcgi.server import Server
    from gfcgi.server.background import Background
    from gfcgi.wsgi.observed import Observed

__all__ = ["Worker", "worker_options"]

SIGN_OF_LIFE_SECONDS: Final = 1.0
"""Between two signs of life, unless gunicorn's ``timeout`` is short."""

CUT_EARLIER_SECONDS: Final = 2.0
"""Requests are cut so long before ``graceful_timeout``, when gunicorn kills the process: what
is cut has a second to end."""

EXIT_ABORTED: Final = 1
STOPPING: Final = (signal.SIGTERM, signal.SIGINT, signal.SIGQUIT)


def worker_options(cfg: Any) -> Options:
    """Our options from the environment, but what gunicorn's settings say as well.

    Raises: ConfigError.
    """
    keywords: dict[str, object] = {
        "graceful_timeout_seconds": max(
            cfg.graceful_timeout - CUT_EARLIER_SECONDS, cfg.graceful_timeout / 2
        )
    }
    if cfg.threads > 1:
        keywords["threads"] = cfg.threads
    return Options.from_sources(keywords, environ=os.environ)


class Worker(base.Worker):  # type: ignore[misc]  # gunicorn has no types
    """Serves FastCGI with gevent; ``gunicorn --threads N`` or GFCGI_THREADS with threads.

    ``app`` is gunicorn's, which loads the application. One of ours (``arbiter``) has the options.
    """

    def __init__(self, *arguments: Any, **more: Any) -> None:
        super().__init__(*arguments, **more)
        self.sockets: Any
        self.options: Options
        self._server: Server | None = None
        self._background: Background | None = None
        self._at_once = False
        self._reopen = False
        self._most_memory = 0
        self._request_logs: RequestLogs | None = None
        self._status: Status | None = None

    @classmethod
    def check_config(cls, cfg: Any, log: Any) -> None:
        """Say what cannot be used, before there is a worker. gunicorn calls this in its arbiter.

        Raises: SystemExit(2).
        """
        problem = ""
        try:
            shared.prepare(worker_options(cfg), uid=cfg.uid, gid=cfg.gid)
        except ConfigError as error:
            problem = str(error)
        if cfg.is_ssl:
            problem = "FastCGI has no TLS of its own: leave out certfile and keyfile"
        if problem:
            log.error("gfcgi: %s", problem)
            raise SystemExit(2)
        settings = cfg.settings
        if "control_socket" in settings:
            asked = settings["control_socket"]
            if asked.get() == asked.default:  # it wants a home directory; not asked for
                cfg.set("control_socket_disable", True)
        _let_signals_reach_the_arbiter()

    # -- the start

    def init_process(self) -> None:
        os.environ.update(self.cfg.env)
        given = getattr(self.app, "options", None)
        self.options = worker_options(self.cfg) if given is None else given
        self._make_cooperative()
        self._log_as_gunicorn()
        never_wait_for_readers()
        # Of the class that this process's sockets have by now.
        self.sockets = [socket.socket(fileno=one.sock.detach()) for one in self.sockets]
        super().init_process()

    def _make_cooperative(self) -> None:
        if "gevent" in sys.modules:  # the parent's: the application was loaded there
            from gfcgi.server.forks import renew_hub

            renew_hub()
        if self.options.threads:
            leave_alone()
        elif self.options.patch:
            patch(self.options.no_cooperative)

    def _log_as_gunicorn(self) -> None:
        """Have our lines in gunicorn's error log, where nobody has said another place for them."""
        logger, its = logging.getLogger("gfcgi"), getattr(self.log, "error_log", None)
        if not logger.handlers and its is not None:
            logger.handlers = list(its.handlers)
            logger.propagate = False
            if logger.level == logging.NOTSET:
                logger.setLevel(its.level)
        set_up_logging(self.options)

    def init_signals(self) -> None:
        arbiter = _arbiter()
        super().init_signals()
        while arbiter is not None and not arbiter.SIG_QUEUE.empty():
            if arbiter.SIG_QUEUE.get_nowait() in STOPPING:
                raise SystemExit(0)  # sent to this process, right after the fork
        signal.set_wakeup_fd(-1)  # to the watchdog, and not to a pipe that nobody reads
        watchdog.start(self.options, write=self._write_at_once)

    def load_wsgi(self) -> None:
        super().load_wsgi()
        # A script may give options too; what was needed earlier has had its effect.
        self.options = getattr(self.app, "options", None) or self.options
        try:
            settle(self.options)
            self._status = status_of_one_of_several(self.options)
        except ConfigError as error:  # after the start gunicorn would try for ever
            log.error("gfcgi: %s", error)
            raise SystemExit(Arbiter.APP_LOAD_ERROR) from None
        if self.reloader is not None and isinstance(self.wsgi, BrokenApplication):
            for name in filter(os.path.isfile, self.wsgi.files):
                self.reloader.add_extra_file(name)

    # -- signals

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        self.alive = False
        if self._server is not None:
            watchdog.stopping(sig)
            self._server.stop()

    def handle_quit(self, sig: int, frame: FrameType | None) -> None:
        self._at_once = True
        self.cfg.worker_int(self)
        if self._server is None:
            os._exit(0)  # SystemExit would be the application's, which is being loaded
        self.handle_exit(sig, frame)
        self._wake()

    def handle_usr1(self, sig: int, frame: FrameType | None) -> None:
        self._reopen = True  # it takes locks, which the interrupted code may hold
        if self._server is None:
            super().handle_usr1(sig, frame)
        self._wake()

    def handle_abort(self, sig: int, frame: FrameType | None) -> None:
        """gunicorn has had no sign of life: end, and say where it stands."""
        self.alive = False
        text = f"no sign of life for {self.cfg.timeout} s (timeout): the worker is ended"
        stack = stack_of(frame)
        self._write_at_once(
            "CRITICAL", f"{text}, in {place_of(frame)}" + "".join(f"\n{line}" for line in stack)
        )
        try:
            self.cfg.worker_abort(self)
        finally:
            os._exit(EXIT_ABORTED)  # SystemExit could be caught where it stands

    def _write_at_once(self, level: str, text: str) -> None:
        write_at_once(level, text, self._log_descriptor())

    def _log_descriptor(self) -> int:
        for handler in getattr(getattr(self.log, "error_log", None), "handlers", ()):
            if isinstance(handler, logging.FileHandler) and handler.stream is not None:
                return handler.stream.fileno()
        return 2

    # -- while it serves

    def run(self) -> None:
        from gfcgi.server import Server
        from gfcgi.server.background import Background

        options = self.options
        warn_of_late_modules(left_out="gunicorn")
        warn_of_late_options(options)
        raise_nofile_limit(options)
        keep_freed_memory()
        self._most_memory = options.max_memory_bytes
        if self._most_memory and resident_bytes() >= self._most_memory:
            log.warning(
                "max_memory_bytes=%d is less than the process takes without a request, and has no"
                " effect",
                self._most_memory,
            )
            self._most_memory = 0
        hooked = self._has_hooks()
        observed = hooked or self._logs or self.max_requests < sys.maxsize
        self._request_logs = logs = RequestLogs(self._without_second_access_log(options))
        status = self._status
        self._server = Server(
            self.wsgi,
            self.sockets,
            options,
            multiprocess=True,
            around=self._call_hooks if hooked else None,
            stack_of=described,
            observers=[
                *([self] if observed else []),
                *logs.observers,
                *(() if status is None else status.observers),
            ],
            own_pages=None if status is None else status.pages,
        )
        if status is not None:
            status.watch(self._server)
        seconds = SIGN_OF_LIFE_SECONDS
        if self.timeout:
            seconds = min(seconds, self.timeout / 4)
        self._background = Background(self._look, seconds)
        show_lines()
        # gunicorn repeats the signal.
        watchdog.watch_loop(lambda: None, (signal.SIGTERM,), float("inf"), slow=logs.slow)
        self.notify()
        self._background.start()
        if not self.alive:  # a signal has come while it started
            self._server.stop()
        try:
            with logs, status or nullcontext():
                self._server.serve()
        finally:
            self._background.stop()
            watchdog.stop()
            logs.close()

    def _look(self) -> None:
        """Give a sign of life, and do what was asked for."""
        try:
            assert self._server is not None
            self.notify()
            if self._reopen:
                self._reopen = False
                self.log.reopen_files()
                if self._request_logs is not None:
                    self._request_logs.reopen()
            if self.alive and self.ppid != os.getppid():
                self.log.info("Parent changed, shutting down: %s", self)
                self.alive = False
            most = self._most_memory
            if self.alive and most and (taken := resident_bytes()) >= most:
                self.log.info("Autorestarting worker: it takes %d bytes of memory.", taken)
                self.alive = False
            if not self.alive:
                self._server.stop()
            if self._at_once:
                self._server.cut()
        except Exception:  # whatever it was, the next sign of life comes
            log.exception("looking after the worker failed")

    def _wake(self) -> None:
        if self._background is not None:
            self._background.wake()

    # -- requests

    def _without_second_access_log(self, options: Options) -> Options:
        """The options; without an access log of ours, where gunicorn's own is on."""
        if options.access_log and getattr(self.log, "access_log_enabled", self.cfg.accesslog):
            log.warning(
                "%s has no effect: gunicorn's own access log is on", options.source_of("access_log")
            )
            return replace(options, access_log=None)
        return options

    def _has_hooks(self) -> bool:
        settings = self.cfg.settings
        hooks = (settings[name] for name in ("pre_request", "post_request"))
        return any(hook.get() is not hook.default for hook in hooks)

    @property
    def _logs(self) -> bool:
        """Whether gunicorn's logger wants to know of requests: its access log, or statsd."""
        return bool(
            type(self.log).access is not Logger.access
            or getattr(self.log, "access_log_enabled", True)
            or self.log.loglevel <= logging.DEBUG
        )

    def request_begun(self, observed: Observed) -> None:
        self.nr += 1
        if self.nr >= self.max_requests and self.alive:
            self.alive = False
            self.log.info("Autorestarting worker after current request.")
            self._wake()

    def request_ended(self, observed: Observed) -> None:
        if self._logs:
            asked, environ = HookRequest(observed.params), environ_for_log(observed)
            taken = timedelta(seconds=observed.seconds)
            self.log.access(HookResponse(observed), asked, environ, taken)

    def _call_hooks(self, request: Any, answer: Callable[[Any], None]) -> None:
        """Answer a request between the two hooks, in the greenlet or thread of its application."""
        observed: Observed = request.observed
        asked = HookRequest(observed.params)
        try:
            try:
                self.cfg.pre_request(self, asked)
            except BaseException:  # a gevent.Timeout, for one
                self.log.exception("Exception in pre_request hook")
                _refuse(request)
            else:
                answer(request)
        finally:
            try:
                if self.options.threads:
                    request.wait_until_sent()
                self.cfg.post_request(self, asked, observed.environ, HookResponse(observed))
            except BaseException:  # as above
                self.log.exception("Exception in post_request hook")


def _arbiter() -> Any:
    """The arbiter, as long as it handles the signals, also of a child that has just been forked."""
    arbiter = getattr(signal.getsignal(signal.SIGTERM), "__self__", None)
    return arbiter if isinstance(arbiter, Arbiter) else None


def _let_signals_reach_the_arbiter() -> None:
    """Give the arbiter a cooperative queue for signals, where preloading has patched ``signal``.

    SIGCHLD comes by the event loop then, which does not turn while the arbiter waits for a queue
    that it made before.
    """
    monkey = sys.modules.get("gevent.monkey")
    if monkey is None or not monkey.is_module_patched("signal"):
        return
    arbiter = _arbiter()
    if arbiter is not None:
        before, arbiter.SIG_QUEUE = arbiter.SIG_QUEUE, queue.SimpleQueue()
        while not before.empty():
            arbiter.SIG_QUEUE.put_nowait(before.get_nowait())


def _refuse(request: Any) -> None:
    from gfcgi.errors import RequestAborted
    from gfcgi.wsgi.pages import error_page

    try:
        request.finish(error_page("500 Internal Server Error"), 1)
    except RequestAborted:
        pass
