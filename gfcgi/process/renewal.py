"""The same process anew: a new version of the application, the same sockets and the same pid.

The process takes no more requests, finishes those that run, and then starts its own program again
(execve(2)). Who connects meanwhile waits in the backlog of the listening sockets, which stay open.
No parent is needed, so this works under every Web server, every supervisor and on a terminal.

First the new version is loaded aside, in a child. If that fails, the old one serves on.

This module is imported before the signals are held, so it imports little.
"""

from __future__ import annotations

import os
import sys
import time

from gfcgi.current_directory import current_directory
from gfcgi.process.signals import unblock

TYPE_CHECKING = False

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from typing import Final, NoReturn

__all__ = [
    "KeptSockets",
    "Origin",
    "begin",
    "is_trial",
    "load_aside",
    "origin",
    "passed_on",
    "report_success",
    "run_exit_handlers",
    "start_again",
]

RENEWED: Final = "GFCGI_RENEWED"
"""The variable that a renewed process gets: its pid, since when a change counts, whether the last
one was only presumed; then a line for each socket that it had bound."""
TRIAL: Final = "GFCGI_TRIAL"
"""The variable that a child gets to load the application aside: where to report success."""
LOADED: Final = b"loaded"


class Origin:
    """What it takes to start this process again as it was started.

    ``time_ns`` is when that was, on the clock of files; of a renewed process, when its version was
    last loaded aside. ``presumed`` says that a file was only presumed to have changed: its time
    was later than ``time_ns``, and nobody has seen the change. That is no reason twice in a row:
    an application that writes one of its files whenever it is loaded would be renewed for ever.
    """

    def __init__(self) -> None:
        self.time_ns = time.time_ns()
        self.presumed = False
        self.arguments = [sys.executable, *sys.orig_argv[1:]]
        self.environ = _first_environ()
        self.directory = _first_directory()
        self.descriptors = _inheritable_descriptors()
        self.blocks_signals = False
        """Signals may stay blocked until the new process holds them."""


origin: Origin | None = None
passed_on: dict[str, list[int]] = {}
"""The sockets that a renewed process was given, by the address that they were bound for."""
_trial: int | None = None


def begin(*, command: bool) -> None:
    """Remember how the process was started, and take what a renewal has left for it.

    ``command``: our own program was started, and it holds the signals from its first line on.
    """
    global origin, _trial
    origin = Origin()
    origin.blocks_signals = command
    for name in (RENEWED, TRIAL):
        origin.environ.pop(name, None)
    passed_on.clear()
    _take(os.environ.pop(RENEWED, ""), origin)
    trial = os.environ.pop(TRIAL, "")
    _trial = int(trial) if trial.isdigit() else None


def _first_directory() -> str:
    """The current directory, by the name that it has in a path of the command line, if it has one.

    That may lead through a symbolic link, such as ``/srv/site/current``, to another release later.
    """
    here = current_directory() or os.sep
    for argument in sys.orig_argv[1:]:
        beside = argument.rpartition("/")[0]
        try:
            if beside.startswith("/") and os.path.samefile(beside, here):
                return beside
        except (OSError, ValueError):  # ValueError: a NUL byte, or what cannot be encoded
            pass
    return here


def _first_environ() -> dict[str, str]:
    """The environment that the process was started with; later changes are the application's."""
    try:
        with open("/proc/self/environ", "rb") as file:
            pairs = [entry.partition(b"=") for entry in file.read().split(b"\0") if b"=" in entry]
    except OSError:
        return dict(os.environ)
    return {os.fsdecode(name): os.fsdecode(value) for name, _, value in pairs}


def _inheritable_descriptors() -> set[int]:
    """Those beyond the standard ones that programs get which this process starts."""
    found: set[int] = set()
    try:
        names = os.listdir("/dev/fd")
    except OSError:
        return found
    for name in names:
        try:
            if int(name) > 2 and os.get_inheritable(int(name)):
                found.add(int(name))
        except (OSError, ValueError):
            pass  # the one that the list was read from
    return found


def _take(text: str, origin: Origin) -> None:
    """Take what the process has left for itself."""
    head, *lines = text.split("\n")
    pid, *more = head.split(" ")
    if pid != str(os.getpid()):  # nothing, or a program that a renewed process has started
        return
    origin.time_ns, origin.presumed = int(more[0]), more[1] == "1"
    for line in lines:
        fd, _, address = line.partition(" ")
        os.set_inheritable(int(fd), False)
        passed_on.setdefault(address, []).append(int(fd))


def directory() -> str:
    """Where the process was started."""
    return os.getcwd() if origin is None else origin.directory


# --- the new version, loaded aside ---------------------------------------------------------------


def is_trial() -> bool:
    """Whether this process only finds out if the application can be loaded."""
    return _trial is not None


def report_success() -> NoReturn:
    """End this process, which has loaded the application, without waiting for anything."""
    assert _trial is not None
    os.write(_trial, LOADED)
    os._exit(0)


def load_aside(seconds: float, run: Callable[..., str] | None = None) -> str:
    """Load the application in a child. Return why that failed, as it was printed; empty if not.

    Switches greenlets, unless ``run`` is given: what runs a program as ``run_program`` does.
    """
    if run is None:
        from gfcgi.server.background import run_program

        run = run_program
    assert origin is not None
    try:
        reading, writing = os.pipe()
    except OSError as error:
        return f"it could not be started: {error}"
    try:
        environ = {**origin.environ, TRIAL: str(writing)}
        for name in ("LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES"):
            environ.pop(name, None)
        output = run(
            origin.arguments,
            environ=environ,
            directory=origin.directory,
            keep=[writing],
            seconds=seconds,
        )
        os.set_blocking(reading, False)
        try:
            if os.read(reading, len(LOADED)) == LOADED:
                return ""
        except BlockingIOError:
            pass
        return output or "it ended before it was loaded"
    except OSError as error:  # the directory or Python is gone, or there is no process left
        return f"it could not be started: {error}"
    finally:
        os.close(reading)
        os.close(writing)


# --- the process, started again ------------------------------------------------------------------


class KeptSockets:
    """Listening sockets, kept open while the server closes its own copies of them.

    ``sockets`` are pairs: what a socket came as (``fd:0``, or the address that it was bound for),
    and its descriptor. ``since_ns`` and ``presumed`` are for ``Origin``: a file that has changed
    since then may not be in the new version.
    """

    def __init__(
        self, sockets: Iterable[tuple[str, int]], *, since_ns: int, presumed: bool = False
    ) -> None:
        import fcntl

        self.since_ns = since_ns
        self.presumed = presumed

        wanted = list(sockets)
        numbers = [int(came_as[3:]) for came_as, _ in wanted if came_as.startswith("fd:")]
        above = max(numbers, default=2) + 1
        self._kept = [
            (came_as, fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, above)) for came_as, fd in wanted
        ]

    def place(self) -> tuple[set[int], str]:
        """Put them where the new process finds them. Return their numbers, and what to tell it."""
        numbers, lines = set(), [f"{os.getpid()} {self.since_ns} {int(self.presumed)}"]
        for came_as, fd in self._kept:
            if came_as.startswith("fd:"):
                number = int(came_as[3:])
                os.dup2(fd, number)
            else:
                number = fd
                os.set_inheritable(fd, True)
                lines.append(f"{fd} {came_as}")
            numbers.add(number)
        return numbers, "\n".join(lines)

    def descriptors(self) -> list[int]:
        """Whoever asks for them closes them."""
        return [fd for _, fd in self._kept]

    def close(self) -> None:
        for _, fd in self._kept:
            os.close(fd)
        self._kept.clear()


def start_again(kept: KeptSockets) -> None:
    """Start this process's program again, in its place. Raises OSError if that fails."""
    assert origin is not None
    run_exit_handlers()
    numbers, told = kept.place()
    for fd in _inheritable_descriptors() - numbers - origin.descriptors:
        os.set_inheritable(fd, False)  # a library may have left it open for programs
    os.chdir(origin.directory)
    if not origin.blocks_signals:
        # A script's imports come before it holds them, and may start programs: these must not
        # have them blocked.
        unblock()
    os.execve(origin.arguments[0], origin.arguments, {**origin.environ, RENEWED: told})


def run_exit_handlers() -> None:
    """Run what the application has registered with atexit, as at every other end of it."""
    import atexit

    atexit._run_exitfuncs()
    for stream in (sys.stdout, sys.stderr):
        try:
            if stream is not None:
                stream.flush()
        except (OSError, ValueError):
            pass
