"""gunicorn's arbiter, embedded: ``--processes N``.

We listen, as ever: modes of socket files, stale ones, descriptor 0, LISTEN_FDS. The arbiter is
given the sockets as ``fd://N``. It forks, watches, reloads and stops ``Worker``; its signals are
those that gunicorn's documentation tells of. GUNICORN_CMD_ARGS has gunicorn's own options.
"""

from __future__ import annotations

import math
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping, MutableMapping, Sequence
from typing import Any, Final

from gunicorn.app import base
from gunicorn.arbiter import Arbiter
from gunicorn.errors import HaltServer

from gfcgi import limits
from gfcgi._version import __version__
from gfcgi.errors import ConfigError
from gfcgi.options import Options
from gfcgi.process import renewal, signals
from gfcgi.process.built import build
from gfcgi.process.listeners import Listener
from gfcgi.process.log import log
from gfcgi.process.status import shared
from gfcgi.process.workers.worker import CUT_EARLIER_SECONDS

__all__ = ["left_by_predecessor", "serve_with_arbiter"]

EXIT_MISUSE: Final = 2

Load = Callable[[], tuple[Callable[..., Any], Options]]

_JITTER: Final = 10
"""A tenth of max_requests more at most, so that the processes are not replaced at once."""

_OURS: Final = {
    "bind": "gfcgi's own --bind has",
    "workers": "gfcgi's own --processes has",
    "worker_class": "the workers are gfcgi's",
    "threads": "gfcgi's own --threads has",
    "graceful_timeout": "gfcgi's own --graceful-timeout-seconds has",
}
"""What gunicorn's own options cannot say, by the names of its settings, and why not."""

_KEPT_BYTES: Final = 8 * 1024
"""Of what a new version has printed that cannot be loaded: the end of it."""

_LATER_SECONDS: Final = 5
"""gunicorn's timeout comes so much later than block_kill_seconds, which says more."""


def left_by_predecessor(environ: MutableMapping[str, str]) -> bool:
    """Whether gunicorn started this process at SIGUSR2, with the sockets of the one before."""
    return "GUNICORN_FD" in environ and environ.get("GUNICORN_PID") == str(os.getppid())


def serve_with_arbiter(
    load: Load, options: Options, listeners: Sequence[Listener], *, name: str, started: str
) -> None:
    """Serve until stopped, and leave nothing behind.

    Raises: SystemExit if that did not end well, and in every process that is forked.
    """
    own = os.getpid()
    files = [listener.file for listener in listeners if listener.file is not None]
    places = [f"fd://{listener.socket.detach()}" for listener in listeners]
    log.info(
        "gfcgi %s (%s) serves %s: %s, process %d, processes: %d",
        *(__version__, build(), name, started, own, options.processes),
    )
    for listener in listeners:
        log.info("listening on %s", listener.name)
    application = _Application(load, options, places, name)
    shared.prepare(options, uid=application.cfg.uid, gid=application.cfg.gid)
    arbiter = _Arbiter(application)
    try:
        arbiter.run()
    except SystemExit as ended:
        if os.getpid() != own:
            raise
        if ended.code == Arbiter.APP_LOAD_ERROR:
            raise SystemExit(EXIT_MISUSE) from None
        if ended.code:
            raise
    finally:
        if os.getpid() == own and not arbiter.has_other:
            for file in files or _files_at(options):
                file.remove()


def _files_at(options: Options) -> list[Any]:
    """The files of sockets that a process before this one has made for it."""
    from gfcgi.addresses import UnixAddress, parse_address
    from gfcgi.process.unix import SocketFile

    if "GUNICORN_FD" not in renewal_environ():
        return []
    addresses = [parse_address(text) for text in options.bind]
    return [
        SocketFile.at(address.path)
        for address in addresses
        if isinstance(address, UnixAddress) and os.path.exists(address.path)
    ]


def renewal_environ() -> dict[str, str]:
    """The environment that this process was started with."""
    return {} if renewal.origin is None else renewal.origin.environ


class _Arbiter(Arbiter):  # type: ignore[misc]  # gunicorn has no types
    def __init__(self, app: Any) -> None:
        super().__init__(app)
        if renewal.origin is not None:  # for SIGUSR2
            self.START_CTX = {
                "args": renewal.origin.arguments,
                "cwd": renewal.origin.directory,
                0: sys.executable,
            }

    @property
    def has_other(self) -> bool:
        """Whether another arbiter serves on the same sockets, before or after SIGUSR2."""
        return bool(self.reexec_pid or self.master_pid)

    def init_signals(self) -> None:
        super().init_signals()
        signals.release()  # what came before goes to the handlers that are there now

    def handle_hup(self) -> None:
        """Have a new version replace the old one, if it can be loaded: gunicorn would end all."""
        failure = renewal.load_aside(limits.LOAD_ASIDE_SECONDS, _run_program)
        if not failure:
            super().handle_hup()
            return
        log.error(
            "not renewed, though SIGHUP: the new version cannot be loaded, and the old one serves"
            " on:\n%s",
            failure,
        )

    def stop(self, graceful: bool = True) -> None:
        self.systemd = True  # the sockets' files are not gunicorn's to remove
        while True:
            try:
                super().stop(graceful)
                return
            except HaltServer:
                pass  # a worker more that could not be started: it was one of those to be ended


def _run_program(
    arguments: Sequence[str],
    *,
    environ: Mapping[str, str],
    directory: str,
    keep: Sequence[int],
    seconds: float,
) -> str:
    """Do what ``server.background.run_program`` does, where there is no event loop."""
    late = ""
    # Not a pipe: a program that the application has started may keep it open.
    with tempfile.TemporaryFile() as printed:
        try:
            subprocess.run(
                arguments,
                cwd=directory,
                env=environ,
                pass_fds=keep,
                stdin=subprocess.DEVNULL,
                stdout=printed,
                stderr=printed,
                timeout=seconds,
                check=False,
            )
        except subprocess.TimeoutExpired:
            late = f"it was not loaded after {seconds:g} seconds"
        printed.seek(0, 2)
        printed.seek(max(0, printed.tell() - _KEPT_BYTES))
        return (printed.read().decode("utf-8", "backslashreplace") + late).strip()


class _Application(base.Application):  # type: ignore[misc]
    """What the arbiter asks for settings, and each worker for the application and our options."""

    def __init__(self, load: Load, options: Options, places: list[str], name: str) -> None:
        self._load = load
        self.options = options
        self._places = places
        self._name = name
        super().__init__()

    def load_config(self) -> None:
        options = self.options
        settings: dict[str, Any] = {
            "default_proc_name": self._name,
            "loglevel": options.log_level,
            "max_requests": options.max_requests,
            "max_requests_jitter": options.max_requests // _JITTER,
            "reload": options.reload,
            "reload_extra_files": list(options.reload_file),
        }
        if options.block_kill_seconds:
            at_least = math.ceil(options.block_kill_seconds) + _LATER_SECONDS
            settings["timeout"] = max(self.cfg.timeout, at_least)
        parser = self.cfg.parser()
        its = parser.parse_args(self.cfg.get_cmd_args_from_env())
        for setting, value in settings.items():
            self.cfg.set(setting, value)
        if its.config:
            in_file = self.load_config_from_file(its.config)
            for setting in _OURS.keys() & in_file.keys():
                _warn_of_no_effect(its.config, setting, _OURS[setting])
        for setting, value in vars(its).items():
            if value is not None and setting != "args":
                self.cfg.set(setting.lower(), value)
                if setting in _OURS:
                    option = self.cfg.settings[setting].cli[-1]
                    _warn_of_no_effect("GUNICORN_CMD_ARGS", option, _OURS[setting])
        cut_seconds = options.graceful_timeout_seconds
        for setting, value in {
            "bind": self._places,
            "workers": options.processes,
            "worker_class": "gfcgi.gunicorn.Worker",
            "threads": max(options.threads, 1),
            "graceful_timeout": math.ceil(cut_seconds + CUT_EARLIER_SECONDS),
        }.items():
            self.cfg.set(setting, value)

    def load(self) -> Any:
        """Load the application, in a worker. Raises: SystemExit, as gunicorn wants it."""
        try:
            application, self.options = self._load()
        except ConfigError as error:
            print(f"gfcgi: {error}", file=sys.stderr, flush=True)
            raise SystemExit(Arbiter.APP_LOAD_ERROR) from None
        return application


def _warn_of_no_effect(place: str, name: str, reason: str) -> None:
    log.warning("%s: %s has no effect with --processes: %s", place, name, reason)
