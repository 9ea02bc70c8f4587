"""A thread beside the event loop that says where it stands still, and ends it where that is due.

A greenlet that computes, waits in C or waits for itself holds up the whole process: every other
request, and the loop that would log it, stop it or end it. So this is done by one thread of the
operating system, which has no loop and no greenlet. It sleeps most of the time and then looks:

- The loop waits for events, or has turned since the last look: all is well.
- It has stood still for ``block_log_seconds``: where, and for which request, is logged; once for
  each place in a while, and again how long it took in the end.
- It has stood still for ``block_kill_seconds``: all stacks are dumped, and the process ends.
- A signal has said stop, ``graceful_timeout_seconds`` are over, and the loop stands still, so that
  it cannot keep to them: the process ends.

Signals reach the thread while the loop stands still by Python's wake-up descriptor: a handler
written in Python would have to wait for a call in C to return. What even this thread cannot see is
a call in C that never lets go of the interpreter's lock (the GIL). ``faulthandler`` has a thread in
C; it is used for the ends above, but it must be set beforehand: with ``block_kill_seconds``, and
from a stop on. Otherwise such a call is only noticed when it returns.

A fork must not find the thread running: it ends before. After a fork Python counts the threads once
more, to warn of them, so that it begins again when the loop next turns.
While the application is loaded there is no loop: whether the same call goes on is looked at then,
and logged; only a stop ends such a process.
"""

from __future__ import annotations

import faulthandler
import os
import select
import signal
import sys
import time
from collections.abc import Callable, Collection
from types import CodeType, FrameType
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from gfcgi import limits
from gfcgi.options import Options
from gfcgi.process.log import log, write_at_once
from gfcgi.process.originals import original
from gfcgi.process.signals import INSISTING, holds
from gfcgi.process.stacks import in_debugger, name_and_client, own_frame, place_of, stack_of

if TYPE_CHECKING:
    from gfcgi.process.slow_log import SlowLog
    from gfcgi.server.pulse import Pulse
    from gfcgi.wsgi.request import Request

__all__ = [
    "EXIT_STANDS_STILL",
    "Watchdog",
    "standing_seconds",
    "start",
    "stop",
    "stopping",
    "watch_loop",
]

EXIT_STANDS_STILL: Final = 1
"""For ``block_kill_seconds``: ``faulthandler`` has no other status."""

_REMEDY: Final = (
    "All other requests of this process wait for it. Use {}; see"
    ' "Will my application work?" in gfcgi\'s documentation'
)
_NO_TIME: Final = float("inf")


class _Start:
    """The start: there is no loop, and the thread runs as long as its innermost call changes."""

    what: Final = "the start"

    def __init__(self, thread: int) -> None:
        self.thread = thread
        self._innermost: FrameType | None = None

    def frame(self, frame: FrameType | None) -> FrameType | None:
        """Where the application is that is loaded: its own, if the loop runs while it waits."""
        hub = frame
        while hub is not None and hub.f_globals.get("__name__", "").startswith("gevent."):
            if (owner := hub.f_locals.get("self")) is not None and hasattr(owner, "loop"):
                own: FrameType | None = getattr(owner.parent, "gr_frame", None)
                return own or frame
            hub = hub.f_back
        return frame

    def turns(self, frame: FrameType | None) -> bool:
        before, self._innermost = self._innermost, frame
        return frame is not before or frame is None

    def call_soon(self, call: Callable[[], object]) -> None:
        if "gevent.hub" in sys.modules:
            from gfcgi.server.pulse import call_soon

            call_soon(call)


class _Standstill:
    """One time in which the loop stands still, from the first look that has found it so."""

    def __init__(self, since: float) -> None:
        self.since = since
        self.seconds = 0.0
        """As far as this thread could run meanwhile: a process that is stopped is not standing."""
        self.judged = False
        self.told = ""
        """What was logged of it: where it stands; empty if nothing was."""
        self.shown: CodeType | None = None
        """The function whose stack was logged, for whatever reason."""


class _End(NamedTuple):
    """When the process has to end, and for which signal; without ``grace_seconds`` at once."""

    signum: int
    until: float
    grace_seconds: float | None = None

    def said(self, now: float) -> str:
        name = signal.Signals(self.signum).name
        if self.grace_seconds is None:
            return f"{name} came once more"
        return (
            f"{name} came {now - self.until + self.grace_seconds:.1f} s ago and"
            f" graceful_timeout_seconds={self.grace_seconds:g} are over"
        )


class Watchdog:
    """What the thread knows and decides. ``look`` does one look; the rest is the thread itself."""

    def __init__(
        self,
        options: Options,
        *,
        clock: Callable[[], float] = time.monotonic,
        processor: Callable[[], float] = time.process_time,
        write: Callable[[str, str], None] = write_at_once,
        end: Callable[[int], object] = os._exit,
    ) -> None:
        self._log_seconds = options.block_log_seconds or _NO_TIME
        self._kill_seconds = options.block_kill_seconds or _NO_TIME
        self._grace_seconds = options.graceful_timeout_seconds
        self._remedy = _REMEDY.format(
            "more processes"
            if options.threads
            else "a call that is cooperative, --threads, or more processes"
        )
        self._quiet = options.log_level in ("error", "critical")
        self._clock = clock
        self._write = write
        self._end = end
        self._subject: Pulse | _Start = _Start(original("_thread", "get_ident")())
        self._request_at: Callable[[FrameType | None], Request | None] = lambda frame: None
        self._clean_up: Callable[[], None] = lambda: None
        self._slow: SlowLog | None = None
        self._stop_signals: Collection[int] = INSISTING
        self._stopping: _End | None = None
        """When the process has to have stopped."""
        self._signalled: _End | None = None
        """The same, of a signal that no handler has taken yet as far as is known."""
        self._repeat_seconds = 0.0
        self._came: dict[int, float] = {}
        """When each signal that stops the process came last, as far as this thread has seen."""
        self._to_come = 0
        """A signal that a handler has taken before this thread saw it."""
        self._standstill: _Standstill | None = None
        self._processor = processor
        self._looked_at, self._worked = clock(), processor()
        self._pause = _NO_TIME
        self._told: dict[str, tuple[float, int]] = {}
        """By place: when it was logged last, and how often it was not since."""
        self._armed = False
        self._reading = self._writing = -1
        self._done: Any = None
        self._leaving = False
        self._paused = False
        self._native_id = 0

    # -- what others tell it

    def watch(
        self,
        pulse: Pulse,
        request_at: Callable[[FrameType | None], Request | None],
        clean_up: Callable[[], None],
        stop_signals: Collection[int],
        repeat_seconds: float = 0.0,
        slow: SlowLog | None = None,
    ) -> None:
        """Watch a loop from now on, the start no more.

        ``request_at`` gives the request in whose frame the loop's thread is; ``clean_up`` is called
        before the process is ended; ``stop_signals`` are those that stop it, and a second SIGTERM
        within ``repeat_seconds`` means nothing new. ``slow`` is asked what to log of a request that
        holds up the loop.
        """
        self._repeat_seconds = repeat_seconds
        self._slow = slow
        self._request_at = request_at
        self._clean_up = clean_up
        self._stop_signals = stop_signals
        self._standstill = None
        self._subject = pulse
        self._signalled = None
        self._begin()

    def stopping(self, signum: int) -> None:
        """The process stops in order from now on. A signal handler may call this."""
        if self._stopping is None:
            if signum not in self._came:
                self._to_come = signum
            now = self._clock()
            self._stopping = _End(signum, now + self._grace_seconds, self._grace_seconds)
            self._arm(now)  # here, as the thread may get no turn
            self._begin()
            self._wake()

    @property
    def standing_seconds(self) -> float:
        """For how long the loop has stood still at the last look; 0 if it turned by then."""
        standing = self._standstill
        return 0.0 if standing is None else standing.seconds

    # -- one look

    def look(self, frame: FrameType | None, signals: bytes = b"") -> float:
        """Look once, and return after how many seconds to look again.

        ``frame`` is where the watched thread is; ``signals`` are those that have come since.
        """
        now = self._clock()
        passed = min(now - self._looked_at, 2 * self._pause)
        late = now - self._looked_at - self._pause
        self._looked_at = now
        self._find_held(late, frame)
        for signum in signals:
            if signum in self._stop_signals:
                self._came_signal(signum, now)
        standing = self._standstill
        if self._subject.turns(frame):
            if standing is not None and standing.told:
                self._tell_end(standing, now)
            # The second of two looks measures from this one.
            self._standstill = _Standstill(now)
            if not isinstance(self._subject, _Start):
                self._signalled = None  # whatever a handler makes of it
        elif standing is not None and not in_debugger(frame):  # a person's time does not count
            standing.seconds += passed
            self._judge(standing, frame, now)
        self._keep_deadline(frame, now)
        self._pause = self._next(now)
        self._arm(now)
        return self._pause

    def _came_signal(self, signum: int, now: float) -> None:
        """Note a signal, which a handler may take now, later or never (``StopSignals.handle``)."""
        last = self._came.get(signum, -_NO_TIME)
        self._came[signum] = now
        if signum == self._to_come:
            self._to_come = 0
        elif self._signalled is None and self._stopping is None:
            self._signalled = _End(signum, now + self._grace_seconds, self._grace_seconds)
        elif signum in INSISTING and not (
            signum == signal.SIGTERM and now - last < self._repeat_seconds
        ):
            self._signalled = _End(signum, now + limits.STANDS_SECONDS)

    def _find_held(self, late: float, frame: FrameType | None) -> None:
        """Name what has kept this thread from running, now that it may.

        A process that was stopped (SIGSTOP), or whose machine slept, has not worked meanwhile; on
        a busy machine it has got a part of a processor.
        """
        before, self._worked = self._worked, self._processor()
        if late < self._log_seconds or self._worked - before < late / 10 or in_debugger(frame):
            return
        found = self._at_work(frame)
        if found is None:
            now_at = ""  # it has come to its end meanwhile
        else:
            now_at = f" The application has come to {self._where(found)}."
        place = place_of(found) if found is not None else ""
        if self._may_tell(f"held {place}", self._looked_at) is not None:
            self._write(
                "WARNING",
                f"for {late:.1f} s nobody else was answered: a call in C let no other thread run."
                f"{now_at} {self._remedy}" + (self._stack(found) if found is not None else ""),
            )

    def _at_work(self, frame: FrameType | None) -> FrameType | None:
        """The frame if the application is in it, or that of a thread of the application's."""
        frames = [frame, *sys._current_frames().values()]
        return next((one for one in frames if own_frame(one) is not None), None)

    def _judge(self, standing: _Standstill, frame: FrameType | None, now: float) -> None:
        if standing.seconds >= self._least() and not standing.judged:
            standing.judged = True
            self._tell(standing, frame, now)
        self._tell_slow(standing, frame)
        if standing.seconds >= self._kill_seconds and not isinstance(self._subject, _Start):
            self._write(
                "CRITICAL",
                f"the process is ended: it has stood still for {standing.seconds:.1f} s"
                f" (block_kill_seconds), in {self._where(frame)}",
            )
            self._dump_stacks()
            self._finish(EXIT_STANDS_STILL)

    def _least(self) -> float:
        """From when on a standstill is worth a line."""
        starts = isinstance(self._subject, _Start)
        return self._log_seconds * (limits.START_STANDS_TIMES if starts else 1)

    def _keep_deadline(self, frame: FrameType | None, now: float) -> None:
        """End the process if it is time and the loop cannot."""
        ends = filter(None, (self._stopping, self._signalled))
        end = min(ends, key=lambda end: end.until, default=None)
        if end is None or now < end.until:
            return
        if isinstance(self._subject, _Start):
            if not holds(end.signum):
                self._signalled = None  # the application's own handler had it
                return
        elif self._standstill is None or self._standstill.seconds < limits.STANDS_SECONDS:
            return
        self._write(
            "ERROR",
            f"{end.said(now)}: the process is ended where it stands, in {self._where(frame)}"
            + self._stack(frame),
        )
        self._finish(128 + end.signum)

    def _next(self, now: float) -> float:
        """After how many seconds to look again."""
        pause = self._log_seconds * limits.LOOK_PART
        pause = min(pause, self._kill_seconds / 4)
        if self._slow is not None:
            pause = min(pause, self._slow.look_seconds)
        for end in filter(None, (self._stopping, self._signalled)):
            pause = min(pause, limits.STANDS_SECONDS / 2, max(end.until - now, 0.01))
        if self._standstill is not None and self._standstill.seconds:
            for bound in (self._least(), self._kill_seconds):
                left = bound - self._standstill.seconds
                if left > 0:
                    pause = min(pause, max(left, 0.001))
        return pause

    # -- what is logged

    def _where(self, frame: FrameType | None) -> str:
        request = self._request_at(frame)
        return place_of(frame) + (
            f" ({name_and_client(request.params)})" if request is not None else ""
        )

    def _stack(self, frame: FrameType | None) -> str:
        return "".join(f"\n{line}" for line in stack_of(frame))

    def _may_tell(self, place: str, now: float) -> int | None:
        """Return how often a place was left out since it was logged; None: leave it out now."""
        last, left_out = self._told.pop(place, (-_NO_TIME, 0))
        if self._quiet:
            return None
        if now - last < limits.PLACE_SECONDS:
            self._told[place] = last, left_out + 1
            return None
        while len(self._told) >= limits.PLACES_REMEMBERED:
            del self._told[next(iter(self._told))]
        self._told[place] = now, 0
        return left_out

    def _tell(self, standing: _Standstill, frame: FrameType | None, now: float) -> None:
        left_out = self._may_tell(place_of(frame), now)
        if left_out is None:
            return
        standing.told = self._where(frame)
        before = f"; {left_out} more times since it was logged last" if left_out else ""
        if isinstance(self._subject, _Start):
            said = f"the start has stood still for {standing.seconds:.1f} s in {standing.told}"
        else:
            said = (
                f"for {standing.seconds:.1f} s nobody else was answered while the application"
                f" stands in {standing.told}{before}. {self._remedy}"
            )
        if standing.shown is not _function(frame):
            standing.shown = _function(frame)
            said += self._stack(frame)
        self._write("WARNING", said)

    def _tell_slow(self, standing: _Standstill, frame: FrameType | None) -> None:
        """Log where the request stands that holds up the loop, if it has run for long.

        Where it stands is not logged twice, once for each reason.
        """
        request: Any = None if self._slow is None else self._request_at(frame)
        observed = getattr(request, "observed", None)
        if self._slow is None or observed is None or self._quiet:
            return
        known = standing.shown is not None and standing.shown is _function(frame)
        said = self._slow.standing(observed, frame, known=known)
        if said:
            standing.shown = _function(frame)
            self._write("WARNING", said)

    def _tell_end(self, standing: _Standstill, now: float) -> None:
        """Log how long it took, now that the loop can do that."""
        subject = self._subject
        if isinstance(subject, _Start):
            self._write("WARNING", f"the start went on after {now - standing.since:.1f} s")
            return
        subject.call(
            log.warning,
            "nobody else was answered for %.1f s while the application stood in %s",
            max(subject.turned_at, standing.since) - standing.since,
            standing.told,
        )

    # -- the end

    def _arm(self, now: float) -> None:
        """Have ``faulthandler`` end the process if even this thread cannot run."""
        starts = isinstance(self._subject, _Start)
        seconds = _NO_TIME if starts else self._kill_seconds  # loading may take its time
        if self._stopping is not None:
            seconds = min(seconds, max(self._stopping.until - now, 0))
        if seconds != _NO_TIME:
            try:
                seconds += limits.LAST_RESORT_SECONDS
                faulthandler.dump_traceback_later(seconds, file=2, exit=True)
                self._armed = True
            except (OSError, RuntimeError, ValueError, OverflowError):
                pass  # no thread, no descriptor: what Python can do is left

    def _disarm(self) -> None:
        if self._armed:
            self._armed = False
            faulthandler.cancel_dump_traceback_later()

    def _dump_stacks(self) -> None:
        """Write the stacks of all threads and of the greenlets that wait."""
        faulthandler.dump_traceback(file=2, all_threads=True)
        if not isinstance(self._subject, _Start):
            for frame in self._subject.waiting_frames(limits.DUMPED_GREENLETS):
                request = self._request_at(frame)
                of = f" of {name_and_client(request.params)}" if request is not None else ""
                self._write("CRITICAL", f"a greenlet{of} waits:" + self._stack(frame))

    def _finish(self, status: int) -> None:
        try:
            self._clean_up()
        finally:
            self._end(status)

    # -- the thread

    def start(self) -> None:
        """Begin to watch the calling thread."""
        try:
            self._reading, self._writing = os.pipe()
        except OSError as error:
            self._write("WARNING", f"nobody watches whether the process stands still: {error}")
            return
        os.set_blocking(self._reading, False)
        os.set_blocking(self._writing, False)
        try:
            before = signal.set_wakeup_fd(self._writing, warn_on_full_buffer=False)
            if before != -1:  # somebody else's, who needs it
                signal.set_wakeup_fd(before)
        except ValueError:
            pass  # not the main thread
        self._begin()

    def stop(self) -> None:
        """Watch no more."""
        self._leave()
        self.forget()

    def forget(self) -> None:
        """Let go of the descriptors; in a child that was forked, of its parent's thread too."""
        try:
            if (other := signal.set_wakeup_fd(-1)) not in (-1, self._writing):
                signal.set_wakeup_fd(other)
        except ValueError:
            pass
        for descriptor in (self._reading, self._writing):
            if descriptor != -1:
                os.close(descriptor)
        self._reading = self._writing = -1
        self._done = None

    def pause(self) -> None:
        """End the thread, before a fork."""
        self._leave()

    def go_on(self) -> None:
        """Begin it again, but not before ``os.fork`` has returned: it warns of threads by then."""
        self._paused = False
        self._subject.call_soon(self._begin)

    def _begin(self) -> None:
        if self._done is not None or self._reading == -1 or self._paused:
            return
        self._leaving = False
        # While there was no thread, nothing can have kept it from running.
        self._looked_at, self._worked, self._pause = self._clock(), self._processor(), _NO_TIME
        self._done = original("_thread", "allocate_lock")()
        self._done.acquire()
        try:
            original("_thread", "start_new_thread")(self._run, (self._done,))
        except RuntimeError as error:
            self._done = None
            self._write("WARNING", f"nobody watches whether the process stands still: {error}")

    def _leave(self) -> None:
        """Have the thread end, and wait until it has."""
        self._paused = True  # a signal handler may want it to begin while this waits
        done, self._done = self._done, None
        if done is None:
            return
        self._leaving = True
        self._wake()
        done.acquire()
        self._disarm()
        # It has done its last; the kernel counts it for a moment still.
        sleep, own = original("time", "sleep"), f"/proc/self/task/{self._native_id}"
        until = time.monotonic() + limits.THREAD_END_SECONDS
        while os.path.exists(own) and time.monotonic() < until:
            sleep(0.00002)

    def _wake(self) -> None:
        try:
            os.write(self._writing, b"\0")
        except OSError:  # it is full, so it wakes up anyway; or there is none
            pass

    def _run(self, done: Any) -> None:
        self._native_id = original("_thread", "get_native_id")()
        try:
            # They are for the threads that were there before, whose waits they interrupt.
            signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
            poll = original("select", "poll")()
            poll.register(self._reading, select.POLLIN)
            told = b""
            while not self._leaving:
                subject = self._subject
                frame = sys._current_frames().get(subject.thread)
                if isinstance(subject, _Start):
                    frame = subject.frame(frame)
                pause = self.look(frame, told.replace(b"\0", b""))
                del frame
                ready = poll.poll(None if pause == _NO_TIME else int(pause * 1000) + 1)
                told = os.read(self._reading, 512) if ready else b""
        except Exception as error:  # whatever it was, the application goes on without
            self._write("ERROR", f"nobody watches any more whether the process stands: {error!r}")
        finally:
            done.release()


def _function(frame: FrameType | None) -> CodeType | None:
    """The application's own function in which a thread is."""
    own = own_frame(frame) or frame
    return None if own is None else own.f_code


# --- the one of this process ---------------------------------------------------------------------

_watchdog: Watchdog | None = None
_hooked = False


def start(options: Options, write: Callable[[str, str], None] = write_at_once) -> None:
    """Watch the calling thread from now on, until ``stop``; ``write`` takes a level and a line."""
    global _watchdog, _hooked
    stop()
    if not _hooked:
        _hooked = True
        os.register_at_fork(
            before=_before_fork, after_in_parent=_after_fork, after_in_child=_in_child
        )
        import atexit

        atexit.register(stop)
    _watchdog = Watchdog(options, write=write)
    _watchdog.start()


def watch_loop(
    clean_up: Callable[[], None],
    stop_signals: Collection[int],
    repeat_seconds: float = 0.0,
    slow: SlowLog | None = None,
) -> None:
    """Watch the calling thread's event loop from now on: see ``Watchdog.watch``."""
    if _watchdog is not None:
        from gfcgi.server.pulse import Pulse, request_at

        _watchdog.watch(Pulse(), request_at, clean_up, stop_signals, repeat_seconds, slow)


def stopping(signum: int) -> None:
    """The process stops in order from now on. A signal handler may call this."""
    if _watchdog is not None:
        _watchdog.stopping(signum)


def standing_seconds() -> float:
    """For how long the watched loop has stood still; 0 if it turns, or nobody watches it.

    Any thread may ask. It is as exact as the looks are: ``LOOK_PART`` of ``block_log_seconds``.
    """
    return 0.0 if _watchdog is None else _watchdog.standing_seconds


def stop() -> None:
    """Watch no more."""
    global _watchdog
    watchdog, _watchdog = _watchdog, None
    if watchdog is not None:
        watchdog.stop()


def _before_fork() -> None:
    if _watchdog is not None:
        _watchdog.pause()


def _after_fork() -> None:
    if _watchdog is not None:
        _watchdog.go_on()


def _in_child() -> None:
    """A child is watched if it serves itself."""
    global _watchdog
    watchdog, _watchdog = _watchdog, None
    if watchdog is not None:
        watchdog.forget()
