"""sqlite3: waiting for a database that another connection has locked.

Replaced: SQLite's busy handler, which sleeps in C. SQLite asks ours in exactly the same moments: it
sleeps (from 1 to 50 ms) while other greenlets run, until the connection's own timeout is over.
Then, and where SQLite does not ask because waiting cannot help, such as in a deadlock of two
transactions, the exception is the same at the same time. So whatever SQLite does in one call may
wait: a statement, a script, a commit, a blob. ``Connection.backup`` sleeps in Python.

While a connection waits, it is inside SQLite: the next greenlet that uses it waits for its turn,
as another thread would. ``connect``, ``Connection`` and ``Cursor`` are replaced for that, by
subclasses.

As before: classes and their subclasses, factories, ``isinstance``, errors, what threads that are
no greenlets do. ``PRAGMA busy_timeout`` sets and tells the timeout. Reading and writing files and
computing hold up the other requests: that is no waiting.

Left out by ``no_cooperative``: ``sqlite3``. Without ctypes, or where it cannot reach the SQLite
library, everything stays as gevent has it, and a line in the log says so.
"""

from __future__ import annotations

import ctypes
import functools
import sys
import time
from collections.abc import Callable, Iterator
from types import ModuleType
from typing import Any, Final
from weakref import WeakValueDictionary

from gevent.event import Event
from gevent.monkey import get_original

from gfcgi.cooperative.replacing import replace
from gfcgi.cooperative.waiting import delays, may_wait, pause
from gfcgi.unfailing_log import Log

__all__ = ["change"]

log = Log("gfcgi.cooperative")

_native_sleep: Callable[[float], None] = get_original("time", "sleep")

_BUSY, _LOCKED = 5, 6
"""SQLite's result codes."""
_TIMEOUT_SECONDS: Final = 5.0
"""That of ``sqlite3.connect`` where it is told none."""

_BUSY_HANDLER: Final = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_int)


class _Gate:
    """What one connection knows of its waiting."""

    __slots__ = ("__weakref__", "_deadline", "_delays", "busy", "error", "seconds")

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        """How long the application wants to wait for a lock."""
        self.error: BaseException | None = None
        """What ended the wait before its time: a ``gevent.Timeout``, for one."""
        self.busy: Event | None = None
        """There while a greenlet waits inside SQLite; set when the others may go on."""
        self._delays: Iterator[float] = iter(())
        self._deadline = 0.0

    def take_turn(self) -> None:
        """Wait until no other greenlet is inside SQLite with this connection."""
        while self.busy is not None:
            self.busy.wait()

    def wait(self, count: int) -> bool:
        """Pause before SQLite tries again, for the ``count``-th time; False is to give up.

        Called by SQLite: nothing may be raised.
        """
        now = time.monotonic()
        if count == 0:
            self.error = None
            self._deadline = now + self.seconds
            self._delays = delays()
        left = self._deadline - now
        if left <= 0:
            return False
        seconds = min(next(self._delays), left)
        if not may_wait():
            _native_sleep(seconds)
            return True
        self.busy = free = Event()
        try:
            pause(seconds)
        except BaseException as error:
            self.error = error
            return False
        finally:
            self.busy = None
            free.set()
        return True


_gates: WeakValueDictionary[int, _Gate] = WeakValueDictionary()
"""By what SQLite is given to find them with."""


def _wait(key: int | None, count: int) -> int:
    gate = _gates.get(key or 0)
    return 1 if gate is not None and gate.wait(count) else 0


_on_busy: Final = _BUSY_HANDLER(_wait)


class _Library:
    """The functions of the SQLite library that Python's own module uses."""

    def __init__(self, module: ModuleType) -> None:
        library = ctypes.CDLL(getattr(module, "__file__", None))
        self._set_handler = library.sqlite3_busy_handler
        self._set_handler.argtypes = [ctypes.c_void_p, _BUSY_HANDLER, ctypes.c_void_p]
        self._set_timeout = library.sqlite3_busy_timeout
        self._set_timeout.argtypes = [ctypes.c_void_p, ctypes.c_int]

    def ask(self, connection: Any, gate: _Gate) -> None:
        """Have SQLite ask ``gate`` when the connection meets a lock."""
        handle = _handle(connection)
        if handle and gate.seconds > 0:
            _gates[id(gate)] = gate
            self._set_handler(handle, _on_busy, id(gate))

    def sleep(self, connection: Any, seconds: float) -> None:
        """Have SQLite's own handler sleep, whose timeout a PRAGMA tells and sets."""
        handle = _handle(connection)
        if handle:
            self._set_timeout(handle, int(seconds * 1000))


def _handle(connection: Any) -> int | None:
    """The ``sqlite3 *`` of a connection: the first of its fields, from Python 3.10 to 3.15.

    None once it is closed.
    """
    return ctypes.c_void_p.from_address(id(connection) + object.__basicsize__).value


def change(module: ModuleType) -> None:
    """Replace what opens and uses databases in the package ``sqlite3``, once it is imported."""
    import _sqlite3

    try:
        if sys.implementation.name != "cpython" or sys.version_info >= (3, 16):
            raise OSError("where this Python keeps the database is not known")
        library = _Library(_sqlite3)
    except (OSError, AttributeError) as error:
        log.warning("sqlite3 waits in C for locked databases: %s", error)
        return
    connection, cursor = _classes(module, library)
    connect = _connect(module.connect, connection)
    for place in (_sqlite3, module.dbapi2, module):
        replace(place, "Connection", connection)
        replace(place, "Cursor", cursor)
        replace(place, "connect", connect)


def _connect(original: Callable[..., Any], connection: type) -> Callable[..., Any]:
    factory_position = 5

    @functools.wraps(original)
    def connect(*arguments: Any, **keywords: Any) -> Any:
        if len(arguments) <= factory_position:
            keywords.setdefault("factory", connection)
        return original(*arguments, **keywords)

    return connect


def _classes(module: Any, library: _Library) -> tuple[type, type]:
    """Make the subclasses of ``sqlite3.Connection`` and ``sqlite3.Cursor``."""
    base: Any = module.Connection
    cursor_base: Any = module.Cursor

    class Connection(base):  # type: ignore[misc]
        __doc__ = base.__doc__
        _gfcgi_gate: _Gate | None = None

        def __init__(self, database: Any, *arguments: Any, **keywords: Any) -> None:
            # As they came: Python 3.13 warns of arguments without a keyword, and 3.15 has none.
            super().__init__(database, *arguments, **keywords)
            timeout = arguments[0] if arguments else keywords.get("timeout", _TIMEOUT_SECONDS)
            self._gfcgi_gate = _Gate(timeout)
            library.ask(self, self._gfcgi_gate)

        def cursor(self, factory: Any = None) -> Any:
            return super().cursor(Cursor if factory is None else factory)

        # The base class makes cursors of its own for these.

        def execute(self, *arguments: Any) -> Any:
            return cursor_for(self).execute(*arguments)

        def executemany(self, *arguments: Any) -> Any:
            return cursor_for(self).executemany(*arguments)

        def executescript(self, *arguments: Any) -> Any:
            return cursor_for(self).executescript(*arguments)

        def backup(
            self,
            target: Any,
            *,
            progress: Callable[[int, int, int], object] | None = None,
            sleep: float = 0.25,
            **more: Any,
        ) -> Any:
            if not may_wait() or not (progress is None or callable(progress)):
                return super().backup(target, progress=progress, sleep=sleep, **more)

            def give_way(status: int, remaining: int, total: int) -> None:
                if progress is not None:
                    progress(status, remaining, total)
                pause(sleep if status in (_BUSY, _LOCKED) else 0)

            return super().backup(target, progress=give_way, sleep=0, **more)

    class Cursor(cursor_base):  # type: ignore[misc]
        __doc__ = cursor_base.__doc__
        _gfcgi_gate: _Gate | None = None

        def __init__(self, connection: Any, /) -> None:
            super().__init__(connection)
            self._gfcgi_gate = getattr(connection, "_gfcgi_gate", None)

    def cursor_for(connection: Any) -> Any:
        """As each version of Python does it."""
        return (
            connection.cursor() if sys.version_info < (3, 11) else base.cursor(connection, Cursor)
        )

    def keeps_timeout(execute: Callable[..., Any]) -> Callable[..., Any]:
        """Find out what a PRAGMA sets, and let it find what is set."""

        @functools.wraps(execute)
        def method(self: Any, sql: Any, *rest: Any) -> Any:
            gate = self._gfcgi_gate
            if gate is None or not isinstance(sql, str) or "_timeout" not in sql.lower():
                return execute(self, sql, *rest)
            library.sleep(self.connection, gate.seconds)
            try:
                return execute(self, sql, *rest)
            finally:
                if _handle(self.connection):
                    asking = cursor_base(self.connection)
                    asking.row_factory = None
                    (milliseconds,) = asking.execute("PRAGMA busy_timeout").fetchone()
                    gate.seconds = milliseconds / 1000
                    library.ask(self.connection, gate)

        return method

    through_cursor = {"cursor", "execute", "executemany", "executescript", "iterdump"}
    for own, above, left_out in (
        (Connection, base, through_cursor | {"interrupt"}),
        (Cursor, cursor_base, {"setinputsizes", "setoutputsize"}),
    ):
        own.__module__, own.__qualname__ = "sqlite3", own.__name__
        for name, method in vars(above).items():
            special = name.startswith("__") and name not in ("__exit__", "__next__", "__call__")
            if callable(method) and not (special or isinstance(method, type) or name in left_out):
                guarded = _guarded(vars(own).get(name, method), module.OperationalError)
                if name in ("execute", "executescript"):
                    guarded = keeps_timeout(guarded)
                setattr(own, name, guarded)
    return Connection, Cursor


def _guarded(method: Callable[..., Any], operational_error: type[Exception]) -> Callable[..., Any]:
    """``method``, one greenlet at a time, and with the exception that ended a wait inside it."""

    @functools.wraps(method)
    def guarded(self: Any, *arguments: Any, **keywords: Any) -> Any:
        gate = self._gfcgi_gate
        if gate is None:
            return method(self, *arguments, **keywords)
        if gate.busy:
            gate.take_turn()
        try:
            return method(self, *arguments, **keywords)
        except operational_error:
            ended_by, gate.error = gate.error, None
            if ended_by is None:
                raise
            raise ended_by from None

    return guarded
