"""What is looked after while the process serves: whether to renew it, and its log files."""

from __future__ import annotations

import itertools
import os
import time
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, Final

from gfcgi import limits
from gfcgi.options import Options
from gfcgi.process import renewal
from gfcgi.process.broken import BrokenApplication
from gfcgi.process.log import log, reopen_log_files
from gfcgi.process.memory import resident_bytes
from gfcgi.process.service_manager import ServiceManager
from gfcgi.process.watched_files import RESTART_FILE, WatchedFiles, files_named

if TYPE_CHECKING:
    from gfcgi.server.background import Background

__all__ = ["Upkeep"]

Application = Callable[..., Any]


class Upkeep:
    """Renews the process when something asks for it.

    ``name`` is the script's path or the module's name; ``manager`` is told of a renewal;
    ``sockets`` gives what ``KeptSockets`` takes; ``stop`` stops the server in order. Once that has
    been called, ``renewing`` is true and ``kept`` are the sockets for the new process. ``reopen``
    reopens what ``logging`` knows nothing of.
    """

    def __init__(
        self,
        application: Application,
        options: Options,
        *,
        name: str,
        manager: ServiceManager,
        sockets: Callable[[], Iterable[tuple[str, int]]],
        stop: Callable[[], None],
        stopped: Callable[[], bool] = lambda: False,
        reopen: Callable[[], None] = lambda: None,
    ) -> None:
        self._options = options
        self._name = name
        self._loaded: WatchedFiles | None = None
        self._manager = manager
        self._sockets = sockets
        self._stop = stop
        self._stopped = stopped
        self._reopen_further = reopen
        self._broken = isinstance(application, BrokenApplication)
        self._files: WatchedFiles | None = None
        if options.reload or self._broken:
            named = application.files if isinstance(application, BrokenApplication) else []
            origin = renewal.origin
            self._files = WatchedFiles(
                [*_further(name, options), *named],
                None if origin is None or origin.presumed else origin.time_ns,
            )
        self._look_seconds = _MOST_LOOK_SECONDS
        """What looks before new connections may take just now."""
        self._looked = 0.0
        self._held_until = 0.0
        """While a new version is loaded: new connections wait for it until then."""
        self._changed = ""
        self._presumed = False
        self._since_ns = 0
        self._asked = ""
        self._reopen = False
        self._requests = 0
        self._most_requests = _with_jitter(options.max_requests)
        self._memory = options.max_memory_bytes
        self._not_before = 0.0
        self._background: Background | None = None
        self.kept: renewal.KeptSockets | None = None

    @property
    def renewing(self) -> bool:
        return self.kept is not None

    def counted(self, application: Application) -> Application:
        """The application, with its requests counted if there is a most."""
        if not self._most_requests:
            return application

        numbers = itertools.count(1)  # exact in several threads too

        def count(environ: Any, start_response: Any) -> Any:
            self._requests = number = next(numbers)
            if number == self._most_requests:
                self._wake()
            return application(environ, start_response)

        return count

    def may_accept(self) -> bool:
        """Whether to take a new connection now, after a look at the files.

        What it keeps out waits in the backlog for the new version. The event loop may call this.
        """
        if self.renewing:
            return False
        now = time.monotonic()
        self._look_seconds += (now - self._looked) * _LOOK_SHARE
        self._look_seconds = min(self._look_seconds, _MOST_LOOK_SECONDS)
        self._looked = now
        if self._files is not None and not self._held_until and self._look_seconds > 0:
            changed = self._files.changed()
            self._look_seconds -= time.monotonic() - now
            if changed:
                self._changed = changed
                self._held_until = now + limits.HELD_SECONDS
                self._wake()
                return False
        return now >= self._held_until

    def ask(self, reason: str) -> None:
        """Renew the process. A signal handler may call this."""
        self._asked = reason
        self._wake()

    def reopen(self) -> None:
        """Reopen the log files. A signal handler may call this."""
        self._reopen = True
        self._wake()

    def __enter__(self) -> None:
        from gfcgi.server.background import Background

        if self._memory and resident_bytes() >= self._memory:
            log.warning(
                "max_memory_bytes=%d is less than the process takes without a request, and has no"
                " effect",
                self._memory,
            )
            self._memory = 0
        regularly = self._files is not None or self._memory or self._most_requests
        self._background = Background(self._work, limits.LOOK_SECONDS if regularly else None)
        self._background.start()
        if self._asked or self._reopen:
            self._background.wake()

    def __exit__(self, *exception: object) -> None:
        if self._background is not None:
            self._background.stop()

    def can_still_be_loaded(self) -> bool:
        """Whether the new version can be loaded: it may have changed while requests were finished.

        Switches greenlets.
        """
        changed = "" if self._loaded is None else self._loaded.changed()
        if not changed:
            return True
        if not self._can_be_loaded(f"{changed} has changed again"):
            return False
        assert self.kept is not None
        self.kept.since_ns = self._since_ns
        return True

    def resume(self) -> list[int]:
        """Renew nothing for now. Return the descriptors of the sockets, in their order."""
        assert self.kept is not None
        descriptors, self.kept = self.kept.descriptors(), None
        return descriptors

    def _wake(self) -> None:
        if self._background is not None:
            self._background.wake()

    def _work(self) -> None:
        try:
            self._look()
        except Exception:  # whatever it was, this goes on
            log.exception("looking after the process failed")
        finally:
            self._held_until = 0.0

    def _look(self) -> None:
        if self._reopen:
            self._reopen = False
            reopen_log_files()
            self._reopen_further()
        if self.renewing or self._stopped():
            return
        if (reason := self._due()) and not self._stopped():
            self._renew(reason)

    def _renew(self, reason: str) -> None:
        files = self._files or WatchedFiles(_further(self._name, self._options))
        if self._broken:
            self._prepare_to_load(files)
        else:
            self._loaded = files
            if not self._can_be_loaded(reason):
                return
        log.info("renewing the process: %s", reason)
        self.kept = renewal.KeptSockets(
            self._sockets(), since_ns=self._since_ns, presumed=self._presumed
        )
        self._stop()

    def _due(self) -> str:
        """Why to renew the process now; empty if there is no reason."""
        self._presumed = False
        if self._files is not None and (changed := self._changed or self._files.changed()):
            assert self._background is not None
            self._changed = ""
            self._held_until = time.monotonic() + limits.HELD_SECONDS
            self._files.settle(self._background.pause)
            self._presumed = not self._files.seen_changing
            return f"{changed} has changed"
        if self._asked:
            reason, self._asked = self._asked, ""
            return reason
        if time.monotonic() < self._not_before:
            return ""
        if self._most_requests and self._requests >= self._most_requests:
            return f"it has answered {self._requests} requests"
        if self._memory and (taken := resident_bytes()) >= self._memory:
            return f"it takes {taken} bytes of memory"
        return ""

    def _can_be_loaded(self, reason: str) -> bool:
        """Load the new version aside. Log why that fails, and watch what it is about."""
        assert self._loaded is not None
        self._prepare_to_load(self._loaded)
        self._manager.reloading()
        failure = renewal.load_aside(limits.LOAD_ASIDE_SECONDS)
        if self._stopped():  # meanwhile: the sockets may be closed
            return False
        if failure:
            self._manager.ready()
            self._not_before = time.monotonic() + limits.LOAD_ASIDE_SECONDS
            log.error(
                "not renewed, though %s: the new version cannot be loaded, and the old one serves"
                " on:\n%s",
                reason,
                failure,
            )
            if self._files is not None:
                self._files.add(files_named(failure))
        return not failure

    def _prepare_to_load(self, files: WatchedFiles) -> None:
        """What has changed so far must be loaded; what changes later may not be any more."""
        self._since_ns = time.time_ns()
        files.drop_doubtful_bytecode()


_LOOK_SHARE: Final = 0.05
"""How much of the time is spent on looks before new connections, where these come all the time."""
_MOST_LOOK_SECONDS: Final = 0.5
_JITTER: Final = 10
"""A tenth of max_requests more at most, so that several processes are not renewed at once."""


def _with_jitter(requests: int) -> int:
    return requests and requests + int.from_bytes(os.urandom(4), "big") % (requests // _JITTER + 1)


def _further(name: str, options: Options) -> list[str]:
    """What to watch beside modules: the script, ``restart.txt`` beside it, and what is named."""
    start = renewal.directory()
    script = os.path.join(start, name)
    beside = os.path.dirname(script) if os.path.isfile(script) else start
    named = [os.path.join(start, path) for path in options.reload_file]
    return [script, os.path.join(beside, RESTART_FILE), *named]
