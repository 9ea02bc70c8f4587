"""The operating-system threads in which requests run, for applications not made for greenlets.

The server around them stays one loop in one thread, and no other thread may touch it. So a request
has two sides. Its thread runs the gateway and the application with a ``ThreadRequest``. Its
greenlet, in the loop's thread, does on the ``ServerRequest`` what the thread asks for, one call
after the other. A thread waits on a real lock; the greenlet is woken by a callback of the loop.

What a thread only hands on does not wait for the loop: small writes, lines for the error log, the
end. PEP 3333 lets a server send a block while the application makes the next one. What is ahead of
the loop has a bound. An error of it is raised by the next call.

Requests for which no thread is free wait in line (``line``): there are never more in here.
"""

from __future__ import annotations

import os
import sys
from collections import deque
from collections.abc import Callable
from contextvars import Context
from queue import SimpleQueue
from threading import Event, Lock, Thread, get_ident
from types import FrameType
from typing import TYPE_CHECKING, Any, Final, NoReturn, TypeVar

import greenlet
from gevent.hub import get_hub

from gfcgi import limits
from gfcgi.errors import RequestAborted
from gfcgi.server.greenlets import Greenlets
from gfcgi.unfailing_log import Log
from gfcgi.wsgi.error_stream import log_late
from gfcgi.wsgi.pages import error_page
from gfcgi.wsgi.request import name_of

if TYPE_CHECKING:
    from gfcgi.protocol.events import Bytes
    from gfcgi.server.input_stream import InputStream
    from gfcgi.server.request import ServerRequest
    from gfcgi.wsgi.observed import Observed, Observers

__all__ = ["ThreadRequest", "Threads"]

log = Log("gfcgi.server")

_T = TypeVar("_T")

_JOIN_SECONDS: Final = 1.0
"""How long an idle thread may take to end."""


class Threads(Greenlets):
    """Implements ``runners.Runners``: calls ``run`` with every request, in one of ``most`` threads.

    A thread is started when it is first needed, and kept. It is a daemon: a process can end though
    an application does not return.
    """

    __slots__ = (
        "_answer",
        "_asking",
        "_loop",
        "_most",
        "_pid",
        "_taken",
        "_tasks",
        "_threads",
        "_woken",
        "_work",
    )

    def __init__(
        self, run: Callable[[Any], None], most: int, observers: Observers | None = None
    ) -> None:
        super().__init__(self._attend, observers)
        self._answer = run
        self._most = most
        self._pid = os.getpid()
        self._loop: Any = get_hub().loop
        self._threads: list[Thread] = []
        self._taken = 0
        """How many requests have a thread, or are about to get one."""
        self._work: SimpleQueue[ThreadRequest | None] = SimpleQueue()
        self._tasks: dict[int, ThreadRequest] = {}
        """What each thread, by its identifier, is busy with."""
        self._asking: deque[ThreadRequest] = deque()
        self._woken = False

    @property
    def current(self) -> ServerRequest | None:
        """The request whose application is the caller, if there is one."""
        task = self._tasks.get(get_ident())
        return None if task is None else task.request

    # -- in the loop's thread

    def _attend(self, request: ServerRequest) -> None:
        """Have a thread run the request, and do what it asks for; in the request's greenlet."""
        self._taken += 1
        try:
            if self._has_thread(request):
                task = ThreadRequest(request, self._wake)
                self._work.put(task)
                task.attend()
        finally:
            self._taken -= 1

    def _has_thread(self, request: ServerRequest) -> bool:
        """Start one more thread if all are busy; answer the request if there is none at all."""
        if len(self._threads) < min(self._taken, self._most):
            name = f"gfcgi-{len(self._threads) + 1}"
            thread = Thread(target=self._run_requests, name=name, daemon=True)
            try:
                thread.start()
            except RuntimeError as error:  # the system gives no more
                log.error("cannot start a thread: %s", error)
            else:
                self._threads.append(thread)
        if not self._threads:
            try:
                request.finish(error_page("503 Service Unavailable"), 1)
            except RequestAborted:
                pass
        return bool(self._threads)

    def _serve_askers(self) -> None:
        """Let the greenlets of those that ask go on; a callback of the loop."""
        self._woken = False
        for _ in range(len(self._asking)):
            self._asking.popleft().go_on()

    def frame_of(self, request: ServerRequest) -> FrameType | None:
        """Where the thread of a request is; None if it has none yet."""
        for thread, task in list(self._tasks.items()):
            if task.request is request:
                return sys._current_frames().get(thread)
        return None

    def interrupt(self, request: ServerRequest, error: Exception) -> None:
        """Nothing can be raised in a thread. Its next read or write fails."""

    def kill(self, request: ServerRequest) -> None:
        """Nothing can end a thread from outside. What it asks for fails: the request is aborted."""

    def close(self) -> None:
        """End all that wait; each of the others ends with its request."""
        super().close()
        for _ in self._threads:
            self._work.put(None)
        if not self._taken:
            for thread in self._threads:
                thread.join(_JOIN_SECONDS)

    # -- in a thread of its own

    def _run_requests(self) -> None:
        """Run requests in one thread, until there is None."""
        own = get_ident()
        while (task := self._work.get()) is not None:
            self._tasks[own] = task
            if (observed := task.observed) is not None:
                observed.thread = own
            try:
                # As a greenlet's, a request's context variables are its own.
                Context().run(self._answer, task)
            except BaseException as error:
                log.error("a request's thread failed", exc_info=error)
            finally:
                del self._tasks[own]
                if observed is not None:
                    observed.thread = 0
                task.end()
            del task, observed  # or it would stay in memory while this waits
            if os.getpid() != self._pid and self.when_done is not None:
                self.when_done()  # in a child that the application has forked

    def _wake(self, task: ThreadRequest) -> None:
        """Have the loop look at what a thread asks for."""
        self._asking.append(task)
        if not self._woken:
            self._woken = True
            self._loop.run_callback_threadsafe(self._serve_askers)


class _Call:
    """What a thread asks of the loop. ``answered`` is a lock that is free when it is done."""

    __slots__ = ("act", "answered", "error", "result", "values")

    def __init__(self, act: Callable[..., Any], values: tuple[Any, ...], *, waits: bool) -> None:
        self.act = act
        self.values = values
        self.result: Any = None
        self.error: BaseException | None = None
        self.answered: Any = None
        if waits:
            self.answered = Lock()
            self.answered.acquire()

    def wait(self) -> Any:
        """Return what came of it; in the thread."""
        self.answered.acquire()
        error, self.error = self.error, None
        if error is not None:
            try:
                raise error
            finally:
                del error  # breaks the cycle through the traceback
        return self.result


class ThreadRequest:
    """Implements ``gfcgi.wsgi.request.Request`` for a thread: ``request`` is the loop's.

    ``wake`` has the loop call ``go_on``. Only that, ``attend`` and what they call run in the loop's
    thread. A thread may read what is only ever set once: whether the request has ended.
    """

    __slots__ = (
        "_ahead_bytes",
        "_calls",
        "_closed",
        "_ending",
        "_error",
        "_errors_given",
        "_errors_left_out",
        "_errors_taken",
        "_greenlet",
        "_wake",
        "data",
        "keep_conn",
        "params",
        "repeated",
        "request",
        "role",
        "stdin",
    )

    def __init__(self, request: ServerRequest, wake: Callable[[ThreadRequest], None]) -> None:
        self.request = request
        self.role = request.role
        self.keep_conn = request.keep_conn
        self.params = request.params
        self.repeated = request.repeated
        self.stdin = _Stream(request.stdin, self.ask)
        self.data = None if request.data is None else _Stream(request.data, self.ask)
        self._wake = wake
        self._calls: deque[_Call | None] = deque()
        self._greenlet: greenlet.greenlet | None = None
        """Waits for calls, if it is set."""
        self._ahead_bytes = 0
        self._errors_given = 0
        """By the thread, in bytes; what the loop has taken of them has a count of its own, because
        two threads may not count in one."""
        self._errors_taken = 0
        self._errors_left_out = 0
        self._ending = False
        self._closed = False
        self._error: BaseException | None = None

    # -- in the loop's thread

    def attend(self) -> None:
        """Do what the thread asks for, until it is done; in the request's greenlet."""
        own, hub = greenlet.getcurrent(), get_hub()
        calls = self._calls
        while True:
            while not calls:
                self._greenlet = own
                greenlet.greenlet.switch(hub)
                self._greenlet = None
            call = calls.popleft()
            if call is None:
                break
            self._do(call)
            del call
        # Another thread of the application's may still ask.
        self._closed = True
        self._refuse_calls()
        self._release()
        if self._error is not None:
            log.error("%s: it could not be answered", name_of(self.request), exc_info=self._error)
        if not self.request.ended:
            self._end_unanswered()

    def _release(self) -> None:
        """Drop what the application had, so that nothing of it waits for the garbage collector."""
        # They are its environ, and what is in there refers to this.
        self.params = {}
        self.stdin.let_go()
        if self.data is not None:
            self.data.let_go()

    def _end_unanswered(self) -> None:
        """End a request whose thread or whose last call has failed: nobody else would."""
        try:
            self.request.finish(app_status=1)
        except RequestAborted:
            pass
        except Exception as error:
            log.error("%s: it could not be ended", name_of(self.request), exc_info=error)

    def go_on(self) -> None:
        """Let the greenlet go on, if it waits and there is something to do."""
        waiting = self._greenlet
        if waiting is not None and self._calls:
            waiting.switch()

    def _do(self, call: _Call) -> None:
        try:
            call.result = call.act(*call.values)
        except BaseException as error:
            if call.answered is not None:
                call.error = error
            elif not isinstance(error, RequestAborted):
                self._error = error
            # Else the thread finds out: its request has ended.
        if call.answered is not None:
            call.answered.release()

    # -- in the thread

    def end(self) -> None:
        """The thread is done with the request."""
        self._say_what_is_left_out()
        self._calls.append(None)
        self._wake(self)

    def ask(self, act: Callable[..., _T], *values: Any) -> _T:
        """Have ``act`` called in the loop's thread, and return what it returns, or raise it."""
        call = _Call(act, values, waits=True)
        self._hand_on(call)
        result: _T = call.wait()
        return result

    def _hand_on(self, call: _Call) -> None:
        self._calls.append(call)
        if self._closed:
            self._refuse_calls()
        else:
            self._wake(self)

    def _refuse_calls(self) -> None:
        while True:
            try:
                call = self._calls.popleft()
            except IndexError:
                return
            if call is not None and call.answered is not None:
                call.error = RequestAborted("the request has ended")
                call.answered.release()

    def _go_ahead(self, size: int, act: Callable[..., object], *values: Any) -> None:
        """Have ``act`` called, and wait for it only where too many bytes are ahead of the loop."""
        self.check()
        if size >= limits.THREAD_AHEAD_BYTES:
            self.ask(act, *values)
            return
        self._hand_on(_Call(act, values, waits=False))
        self._ahead_bytes += size
        if self._ahead_bytes >= limits.THREAD_AHEAD_BYTES and not self._ending:
            self.ask(self.request.check)  # comes after all the others
            self._ahead_bytes = 0

    def check(self) -> None:
        """Raise RequestAborted if nothing can be sent any more, or an error that came later."""
        if self._error is not None:
            error, self._error = self._error, None
            try:
                raise error
            finally:
                del error
        if self._ending:
            raise RequestAborted("the request has ended")
        self.request.check()

    @property
    def timed_out(self) -> bool:
        return self.request.timed_out

    @property
    def timed(self) -> ServerRequest:
        return self.request

    @property
    def observed(self) -> Observed | None:
        return self.request.observed

    @property
    def aborted(self) -> _Aborted:
        return _Aborted(self)

    def write(self, data: Bytes) -> None:
        self._go_ahead(len(data), self.request.write, data)

    def write_error(self, data: Bytes) -> None:
        """Never waits for the loop: the caller may hold a lock of logging's, which the loop takes.

        So what is far ahead of the loop is left out, and counted.
        """
        self.check()
        # First: with a call between reading and writing it, a count would lose what another thread
        # of the application's counts meanwhile.
        size = len(data)
        if self._errors_given - self._errors_taken > limits.THREAD_ERRORS_BYTES:
            self._errors_left_out += size
            return
        self._say_what_is_left_out()
        self._errors_given += size
        self._hand_on(_Call(self._write_error, (data,), waits=False))

    def _say_what_is_left_out(self) -> None:
        count, self._errors_left_out = self._errors_left_out, 0
        if count:
            said = b"%d bytes of error output are left out: too much at once\n" % count
            size = len(said)
            self._errors_given += size
            self._hand_on(_Call(self._write_error, (said,), waits=False))

    def _write_error(self, data: Bytes) -> None:
        """In the loop's thread: the error stream cannot say any more what comes too late."""
        self._errors_taken += len(data)
        try:
            self.request.write_error(data)
        except RequestAborted:
            log_late(bytes(data).decode("utf-8", "replace"))

    def send_file(self, fileno: int, offset: int, count: int) -> None:
        self.check()
        self.ask(self.request.send_file, fileno, offset, count)

    def give_way(self) -> None:
        """Other threads have their turn anyway."""
        self.check()

    def finish(self, data: Bytes = b"", app_status: int = 0) -> None:
        self.check()
        self._say_what_is_left_out()
        size = len(data)
        self._ending = size < limits.THREAD_AHEAD_BYTES
        if self._ending:
            self._hand_on(_Call(self.request.finish, (data, app_status), waits=False))
        else:
            self.ask(self.request.finish, data, app_status)

    def wait_until_sent(self) -> None:
        """Wait until the loop has done all that was handed on to it."""
        self.ask(lambda: None)

    def cut(self, way: str) -> None:
        self.check()
        self._say_what_is_left_out()
        self.ask(self.request.cut, way)


def _refused(*_asked: object) -> NoReturn:
    """Answer in place of a loop that does nothing for the request any more."""
    raise RequestAborted("the request has ended")


class _Stream:
    """Implements ``gfcgi.wsgi.request.InputStream`` for a thread.

    It takes what is there in large pieces, so that a thread that reads in small ones seldom asks.
    """

    __slots__ = ("_ask", "_ended", "_offset", "_pieces", "_stream")

    def __init__(self, stream: InputStream, ask: Callable[..., Any]) -> None:
        self._stream = stream
        self._ask = ask
        self._pieces: deque[Bytes] = deque()
        self._offset = 0
        self._ended = False
        if stream.is_whole:
            self._pieces.extend(self._take_what_is_here(stream.memory_bytes))
            self._ended = True

    # -- in the loop's thread

    def let_go(self) -> None:
        """Ask nothing any more: a read fails. It breaks the cycle through the request."""
        self._ask = _refused

    def _take(self) -> list[Bytes]:
        """Wait for bytes, and take all that are here."""
        most = limits.THREAD_READ_BYTES
        first = self._stream.read(most)
        return [first, *self._take_what_is_here(most - len(first))] if first else []

    def _take_what_is_here(self, most: int) -> list[Bytes]:
        pieces: list[Bytes] = []
        while most > 0 and self._stream.memory_bytes:
            pieces.append(self._stream.read(most))
            most -= len(pieces[-1])
        return pieces

    # -- in the thread

    @property
    def received(self) -> int:
        return self._stream.received

    def read(self, most: int) -> Bytes:
        self._stream.check()
        pieces = self._pieces
        if not pieces and not self._ended:
            pieces.extend(self._ask(self._take))
            self._ended = not pieces
        if not pieces:
            return b""
        piece, start = pieces[0], self._offset
        if len(piece) - start > most:
            self._offset = start + most
            return piece[start : start + most]
        pieces.popleft()
        self._offset = 0
        return piece[start:] if start else piece


class _Aborted:
    """Implements ``gfcgi.wsgi.request.AbortEvent`` for a thread."""

    __slots__ = ("_task",)

    def __init__(self, task: ThreadRequest) -> None:
        self._task = task

    def is_set(self) -> bool:
        return self._task.request.aborted.is_set()

    def wait(self, timeout: float | None = None) -> bool:
        """Wait for at most ``timeout`` seconds, and return whether it is set."""
        event = self._task.request.aborted
        if event.is_set():
            return True
        told = Event()

        def tell(_: object) -> None:
            told.set()

        try:
            self._task.ask(event.rawlink, tell)
        except RequestAborted:
            return event.is_set()  # the request is over: nobody aborts it any more
        told.wait(timeout)
        if not event.is_set():
            try:
                self._task.ask(event.unlink, tell)
            except RequestAborted:
                pass
        return event.is_set()
