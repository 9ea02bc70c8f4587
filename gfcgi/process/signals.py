"""The signals that stop the process.

While the process starts they are held: ``hold`` is the first thing that it does, so this module
imports little. Later the first signal stops the process in order and a second one at once.

SIGTERM, SIGHUP, SIGUSR1 and SIGINT stop accepting and let what runs finish. Apache sends SIGUSR1
(or SIGHUP) to the whole process group for a graceful restart, and its process manager sends SIGTERM
as well: these two together mean one stop. The same signal again means "at once", and so does
SIGTERM or SIGINT after either of these two. But mod_fcgid sends SIGTERM twice for one stop, so a
quick second one from a process manager means nothing new.

Where no Web server has started the process, SIGHUP renews it and SIGUSR1 reopens its log files.
"""

from __future__ import annotations

import os
import signal
import time

TYPE_CHECKING = False  # importing typing takes time, and nothing is held before this is imported

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable
    from types import FrameType
    from typing import Any, Final

    from typing_extensions import Self

__all__ = [
    "INSISTING",
    "REPEAT_SECONDS",
    "SIGNALS",
    "StopSignals",
    "block",
    "hold",
    "holds",
    "release",
    "unblock",
]

SIGNALS: Final = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGUSR1)
INSISTING: Final = frozenset({signal.SIGTERM, signal.SIGINT})
IGNORED_IS_MEANT: Final = frozenset({signal.SIGINT, signal.SIGHUP})
"""nohup, and a shell that starts a job in the background, have these ignored on purpose."""
REPEAT_SECONDS: Final = 3.0
"""mod_fcgid repeats its SIGTERM after little more than a second, and kills after eight."""


class _Handlers:
    """One handler for all the signals, and what was there before it."""

    def __init__(self, handler: Callable[[int, FrameType | None], None]) -> None:
        self._handler = handler
        self._before: dict[signal.Signals, Any] = {}

    def install(self) -> None:
        """Raises ValueError outside the main thread, where Python sets no handlers."""
        if self._before:
            return
        for signum in SIGNALS:
            before = signal.getsignal(signum)
            if before is signal.SIG_IGN and signum in IGNORED_IS_MEANT:
                continue
            signal.signal(signum, self._handler)
            self._before[signum] = before

    @property
    def taken(self) -> Collection[signal.Signals]:
        """The signals that are handled, as long as the application sets no handlers of its own."""
        return self._before.keys()

    @property
    def replaced(self) -> dict[signal.Signals, Any]:
        """The application's own handlers, which do not run meanwhile."""
        ours = (_hold, signal.default_int_handler)
        return {
            signum: before
            for signum, before in self._before.items()
            if callable(before) and before not in ours and signum in SIGNALS
        }

    def remove(self) -> None:
        for signum, before in self._before.items():
            if signal.getsignal(signum) == self._handler:  # not one that the application has set
                # None is a handler that was not set from Python: it cannot be put back.
                signal.signal(signum, signal.SIG_DFL if before is None else before)
        self._before.clear()


# --- while the process starts --------------------------------------------------------------------

_held: list[signal.Signals] = []
"""What came since ``hold``, in order."""


def hold() -> None:
    """Keep the signals until ``StopSignals`` handles them, or until ``release``.

    A process that a Web server started has requests waiting from the beginning. Signals that
    Apache sends at a graceful restart would end it before there is a server to answer them.

    These are handlers and no mask: programs that the application starts would inherit a mask.
    Outside the main thread this does nothing.
    """
    global _process
    try:
        _holding.install()
    except ValueError:
        return
    _process = os.getpid()
    # This process may have been started with the signals blocked, so that none came too early.
    unblock()


def release() -> None:
    """Hold no more; what was held has its effect now."""
    _holding.remove()
    for signum in _taken():
        os.kill(os.getpid(), signum)


def holds(signum: int) -> bool:
    """Return whether this signal is kept for later if it comes."""
    return signal.getsignal(signum) is _hold


def block() -> None:
    """Keep the signals from this process and from the program that it starts in its own place."""
    signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)


def unblock() -> None:
    """Unblock the signals; pending ones are delivered immediately."""
    signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)


def _hold(number: int, frame: FrameType | None) -> None:
    signum = signal.Signals(number)
    forked = os.getpid() != _process
    if forked or (signum is signal.SIGINT and signum in _held):
        # The application's child, which serves nothing; or a person who does not want to wait.
        signal.signal(signum, signal.SIG_DFL)
        os.kill(os.getpid(), signum)
    else:
        _held.append(signum)


def _taken() -> Iterable[signal.Signals]:
    while _held:
        yield _held.pop(0)


_holding: Final = _Handlers(_hold)
_process = 0
"""Who holds them."""


def _warn_of_replaced(handlers: dict[signal.Signals, Any]) -> None:
    """Log which handlers of the application's do not run while the server has the signals."""
    from gfcgi.process.log import log

    for signum, handler in handlers.items():
        code = getattr(handler, "__code__", None)
        place = f" ({code.co_filename}, line {code.co_firstlineno})" if code is not None else ""
        log.warning(
            "the script's handler of %s, %s%s, does not run while the server runs: %s stops it in"
            " order; atexit calls what is to be called at the end",
            signum.name,
            getattr(handler, "__qualname__", None) or repr(handler),
            place,
            signum.name,
        )


# --- in children that the application forks ------------------------------------------------------

_serving: _Handlers | None = None
_mask: Iterable[int] = ()
_told = False


def _leave_children_alone() -> None:
    """Have signals end a forked child as if there were no handlers here.

    A signal that comes to the child before Python is ready there would be lost: it waits.
    """
    global _told
    if not _told:
        _told = True
        os.register_at_fork(
            before=_before_fork, after_in_parent=_after_fork, after_in_child=_in_child
        )


def _before_fork() -> None:
    global _mask
    _mask = signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS if _serving is not None else ())


def _after_fork() -> None:
    signal.pthread_sigmask(signal.SIG_SETMASK, _mask)


def _in_child() -> None:
    if _serving is not None:
        _serving.remove()
        _holding.remove()
    _after_fork()


# --- while it serves -----------------------------------------------------------------------------


class StopSignals:
    """Calls ``stop`` at the first signal and ``at_once`` (which ends the process) at the second.

    As a context manager it handles the signals while the body runs, held ones first. ``managed``
    says that a process manager started this process, with its listening socket.

    With ``renew``, SIGHUP calls that, and with ``reopen`` SIGUSR1 calls that: nothing is stopped.
    But SIGHUP stops where it says that the terminal is gone.
    """

    def __init__(
        self,
        stop: Callable[[], None],
        at_once: Callable[[int], None],
        *,
        managed: bool = False,
        renew: Callable[[], None] | None = None,
        reopen: Callable[[], None] | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.received: list[signal.Signals] = []
        self._handlers = _Handlers(self.handle)
        self._stop = stop
        self._at_once = at_once
        self._managed = managed
        self._renew = renew
        self._reopen = reopen
        self._terminal = _has_terminal()
        self._clock = clock
        self._terminated = float("-inf")

    def __enter__(self) -> Self:
        global _serving
        try:
            self._handlers.install()
            _serving = self._handlers
            _leave_children_alone()
        except ValueError:
            from gfcgi.process.log import log

            log.warning("not started in the main thread: signals do not stop this server")
        _warn_of_replaced(_holding.replaced | self._handlers.replaced)
        for signum in _taken():
            self.handle(signum, None)
        return self

    @property
    def stopping(self) -> Collection[signal.Signals]:
        """Which signals stop the process, while this handles them."""
        others = {signal.SIGHUP: self._renew, signal.SIGUSR1: self._reopen}
        return {signum for signum in self._handlers.taken if others.get(signum) is None}

    def __exit__(self, *exception: object) -> None:
        global _serving
        _serving = None
        self._handlers.remove()

    def handle(self, number: int, frame: FrameType | None) -> None:
        signum = signal.Signals(number)
        if signum is signal.SIGUSR1 and self._reopen is not None:
            self._reopen()
            return
        terminal_is_gone = self._terminal and not _has_terminal()
        if signum is signal.SIGHUP and self._renew is not None and not terminal_is_gone:
            self._renew()
            return
        if signum is signal.SIGTERM:
            since, self._terminated = self._terminated, self._clock()
            if self._managed and self._terminated - since < REPEAT_SECONDS:
                return
        again = signum in self.received
        insists = signum in INSISTING and not INSISTING.isdisjoint(self.received)
        self.received.append(signum)
        if again or insists:
            self._at_once(number)
        elif len(self.received) == 1:
            self._stop()


def _has_terminal() -> bool:
    """Whether the process has a terminal that is still there (tty(4))."""
    try:
        os.close(os.open("/dev/tty", os.O_RDONLY | os.O_NOCTTY))
    except OSError:
        return False
    return True
