"""multiprocessing: connections, locks and child processes, in fork, spawn and forkserver.

Replaced: how a ``Connection`` reads and writes (it waits for its descriptor with the loop going on;
Pool, Queue, Manager and everything else is built on it), how a lock or semaphore between processes
is acquired (it is tried again and again, with pauses from 1 to 50 ms), and how ``spawn`` starts a
process (gevent is told of it, so that it keeps the exit status for ``exitcode``).

As before: what is sent, and the descriptors' blocking mode, which other processes may share. A
recursive lock belongs to a greenlet, as it belongs to a thread otherwise. What is sent to a process
that starts by ``spawn`` is written in C, until it has started if that is more than 64 KB.

Left out by ``no_cooperative``: ``multiprocessing``.
"""

from __future__ import annotations

import os
import select
import time
from types import ModuleType
from typing import Any, Final

from gevent import os as gevent_os
from gevent.hub import get_hub
from gevent.lock import RLock

from gfcgi.cooperative.replacing import replace
from gfcgi.cooperative.waiting import READ, WRITE, delays, is_ready, may_wait, pause, wait_for

__all__ = ["change_connection", "change_forkserver", "change_locks", "change_util"]

_PIECE_BYTES: Final = min(select.PIPE_BUF, 4096)
"""Can be written without waiting where a pipe or a socket is writable at all."""


def _read(fd: int, most: int) -> bytes:
    """As ``os.read``."""
    while True:
        if may_wait():
            wait_for(fd, READ)
        try:
            return os.read(fd, most)
        except BlockingIOError:  # gevent's sockets are never in blocking mode
            wait_for(fd, READ)


def _write(fd: int, data: Any) -> int:
    """As ``os.write``; a piece at a time."""
    while True:
        if may_wait():
            wait_for(fd, WRITE)
            data = memoryview(data)[:_PIECE_BYTES]
        try:
            return os.write(fd, data)
        except BlockingIOError:
            wait_for(fd, WRITE)


def change_connection(module: ModuleType) -> None:
    """Replace how ``multiprocessing.connection.Connection`` reads and writes."""
    its: Any = module
    connection = its.Connection
    init, receive, send = connection.__init__, connection._recv, connection._send

    def begin(self: Any, handle: Any, *arguments: Any, **keywords: Any) -> None:
        init(self, handle, *arguments, **keywords)
        try:
            # gevent's sockets are never in blocking mode. This one may be inherited by a process
            # that is not patched.
            os.set_blocking(self._handle, True)
        except OSError:  # it is closed: whoever uses it will see
            pass

    connection.__init__ = begin
    connection._recv = lambda self, size, read=_read: receive(self, size, read)
    connection._send = lambda self, data, write=_write: send(self, data, write)


def change_locks(module: ModuleType) -> None:
    """Replace how ``multiprocessing.synchronize.SemLock`` is acquired."""
    its: Any = module
    recursive, base = its.RECURSIVE_MUTEX, its.SemLock

    def _make_methods(self: Any) -> None:
        lock = (_RecursiveLock if self._semlock.kind == recursive else _Lock)(self._semlock)
        self.acquire, self.release = lock.acquire, lock.release

    base._make_methods = _make_methods
    base.__enter__ = lambda self: self.acquire()
    base.__exit__ = lambda self, *exception: self.release()


class _Lock:
    """A lock or semaphore between processes, in C, with a wait that lets others go on."""

    def __init__(self, semlock: Any) -> None:
        self._semlock = semlock
        self.release = semlock.release

    def acquire(self, block: bool = True, timeout: float | None = None) -> bool:
        semlock = self._semlock
        if not block or not may_wait():
            return bool(semlock.acquire(block, timeout))
        if semlock.acquire(False):
            return True
        deadline = None if timeout is None else time.monotonic() + timeout
        for seconds in delays():
            left = seconds if deadline is None else deadline - time.monotonic()
            if left <= 0:
                return False
            pause(min(seconds, left))
            if semlock.acquire(False):
                return True
        raise AssertionError("delays never end")


class _RecursiveLock(_Lock):
    """In C it belongs to the operating-system thread: among greenlets another lock decides."""

    def __init__(self, semlock: Any) -> None:
        super().__init__(semlock)
        self._of_greenlet: Any = RLock()
        self.release = self._release

    def acquire(self, block: bool = True, timeout: float | None = None) -> bool:
        began = time.monotonic()
        if not self._of_greenlet.acquire(block, *([] if timeout is None else [timeout])):
            return False
        try:
            if timeout is not None:
                timeout = max(0.0, timeout - (time.monotonic() - began))
            acquired = super().acquire(block, timeout)
        except BaseException:
            self._of_greenlet.release()
            raise
        if not acquired:
            self._of_greenlet.release()
        return acquired

    def _release(self) -> None:
        if not self._of_greenlet._is_owned():
            raise AssertionError("attempt to release recursive lock not owned by thread")
        self._semlock.release()
        self._of_greenlet.release()


def change_forkserver(module: ModuleType) -> None:
    """Replace how ``multiprocessing.popen_forkserver`` learns of the end of a process."""
    its: Any = module
    poll, read_signed = its.Popen.poll, its.forkserver.read_signed

    def poll_once(self: Any, flag: int = os.WNOHANG) -> int | None:
        if self.returncode is None and may_wait():
            if flag != os.WNOHANG:
                wait_for(self.sentinel, READ)
            elif not is_ready(self.sentinel, READ):
                return None
            # Another greenlet may have read it meanwhile, and it can be read once.
            if self.returncode is None:
                try:
                    self.returncode = read_signed(self.sentinel)
                except (OSError, EOFError):
                    self.returncode = 255
        found: int | None = poll(self, flag)
        return found

    its.Popen.poll = poll_once


def change_util(module: ModuleType) -> None:
    """Replace ``multiprocessing.util.spawnv_passfds``, which starts processes without a fork."""
    its: Any = module
    start = its.spawnv_passfds
    watch: Any = getattr(gevent_os, "_watch_child", None)
    if watch is None:
        return

    def spawnv_passfds(*arguments: Any) -> int:
        loop: Any = get_hub().loop if may_wait() else None
        if loop is None or not loop.default:
            other: int = start(*arguments)
            return other
        loop.install_sigchld()  # before a process that ends at once has ended
        pid: int = start(*arguments)
        watch(pid)
        return pid

    replace(module, "spawnv_passfds", spawnv_passfds)
