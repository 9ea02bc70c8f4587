"""gfcgi.process.watchdog: what one look sees, says and does; the thread is in tests/process."""

from __future__ import annotations

import errno
import faulthandler
import os
import signal
import sys
from types import SimpleNamespace

import pytest

from gfcgi import limits
from gfcgi.options import Options
from gfcgi.process import watchdog
from gfcgi.process.watchdog import EXIT_STANDS_STILL, Watchdog, standing_seconds

HERE = sys._getframe()


class FakePulse:
    """A loop that turns or not, as a test says."""

    thread = 0

    def __init__(self):
        self.turning = True
        self.turned_at = 0.0
        self.calls = []

    def turns(self, frame):
        return self.turning

    def waiting_frames(self, most):
        return [HERE]

    def call(self, call, text, *values):
        self.calls.append(text % values)

    def call_soon(self, call):
        call()


@pytest.fixture(autouse=True)
def last_resorts(monkeypatch):
    """The seconds that faulthandler was set to, which would end this process."""
    seconds = []

    def dump_traceback_later(timeout, **how):
        assert how == {"file": 2, "exit": True}
        seconds.append(timeout)

    monkeypatch.setattr(faulthandler, "dump_traceback_later", dump_traceback_later)
    return seconds


class Looking:
    """A watchdog without its thread: time passes in ``stand`` and ``turn`` alone."""

    def __init__(self, repeat_seconds=0.0, slow=None, **options):
        self.now = 1000.0
        self.worked = 0.0
        self.lines = []
        self.ended = []
        self.cleaned = 0
        self.pulse = FakePulse()
        self.request = None
        self.watchdog = Watchdog(
            Options(**options),
            clock=lambda: self.now,
            processor=lambda: self.worked,
            write=lambda level, text: self.lines.append((level, text)),
            end=self.ended.append,
        )
        self.watchdog.watch(
            self.pulse,
            lambda frame: self.request,
            self.clean,
            {signal.SIGTERM, signal.SIGINT},
            repeat_seconds,
            slow,
        )
        self.pause = self.watchdog.look(HERE)

    def clean(self):
        self.cleaned += 1

    def stand(self, seconds, frame=HERE, signals=b""):
        """The loop stands still for so long."""
        self.pulse.turning = False
        until = self.now + seconds
        if signals:  # they wake the thread
            self.pause = self.watchdog.look(frame, signals)
        while self.now < until and not self.ended:
            self.now += min(self.pause, until - self.now)
            self.pause = self.watchdog.look(frame)

    def turn(self):
        """It turns again."""
        self.pulse.turning = True
        self.pulse.turned_at = self.now
        self.pause = self.watchdog.look(HERE)


def test_a_standstill_is_logged_at_its_time_with_place_and_request():
    looking = Looking()
    looking.request = SimpleNamespace(
        params={
            "REQUEST_METHOD": "GET",
            "SCRIPT_NAME": "/app",
            "PATH_INFO": "/slow\n",
            "REMOTE_ADDR": "192.0.2.7",
            "REMOTE_USER": "ann",
        }
    )
    looking.stand(0.99)
    assert looking.lines == []
    looking.stand(0.02)
    [(level, text)] = looking.lines
    assert level == "WARNING"
    assert text.startswith("for 1.0 s nobody else was answered while the application stands in ")
    assert f"{__file__}, line " in text
    assert r" (GET /app/slow\n from 192.0.2.7, ann)." in text
    assert '"Will my application work?"' in text


def test_a_standstill_is_named_before_two_seconds_are_over_whenever_it_begins():
    pause = Looking().pause
    assert pause + 1.0 < 1.9


def test_how_long_it_took_is_logged_by_the_loop():
    looking = Looking()
    looking.stand(2.5)
    looking.turn()
    [text] = looking.pulse.calls
    assert text.startswith("nobody else was answered for 2.5 s while the application stood in ")
    assert len(looking.lines) == 1


def test_what_takes_less_is_not_logged():
    looking = Looking()
    for _ in range(5):
        looking.stand(0.9)
        looking.turn()
    assert looking.lines == looking.pulse.calls == []


def test_a_place_is_logged_again_after_a_while_with_the_number_of_times_between():
    looking = Looking()
    for _ in range(4):
        looking.stand(1.5)
        looking.turn()
    assert len(looking.lines) == 1
    assert len(looking.pulse.calls) == 1
    looking.now += limits.PLACE_SECONDS
    looking.turn()
    looking.stand(1.5)
    assert len(looking.lines) == 2
    assert "3 more times since it was logged last" in looking.lines[1][1]


def test_no_more_places_are_remembered_than_may_be(monkeypatch):
    monkeypatch.setattr(limits, "PLACES_REMEMBERED", 2)
    looking = Looking()
    for number in range(5):
        code = compile("frame = sys._getframe()", f"file{number}.py", "exec")
        names = {"sys": sys}
        exec(code, names)
        looking.stand(1.5, names["frame"])
        looking.turn()
    assert len(looking.lines) == 5
    assert len(looking.watchdog._told) == 2


@pytest.mark.parametrize("level", ["error", "critical"])
def test_a_log_without_warnings_has_none_of_these(level):
    looking = Looking(log_level=level)
    looking.stand(10)
    looking.turn()
    assert looking.lines == looking.pulse.calls == []


def test_nothing_is_logged_and_nobody_wakes_up_where_it_is_off():
    looking = Looking(block_log_seconds=0)
    assert looking.pause == float("inf")


def test_time_in_which_the_thread_itself_does_not_run_does_not_count():
    """The process was stopped, or the machine slept."""
    looking = Looking(block_kill_seconds=5)
    looking.stand(0.5)
    looking.now += 3600
    looking.pause = looking.watchdog.look(HERE)
    assert looking.ended == []


def test_block_kill_seconds_ends_the_process(monkeypatch):
    dumped = []
    monkeypatch.setattr(faulthandler, "dump_traceback", lambda **how: dumped.append(1))
    looking = Looking(block_kill_seconds=3)
    looking.stand(2.9)
    assert looking.ended == []
    looking.stand(0.2)
    assert looking.ended == [EXIT_STANDS_STILL]
    assert dumped == [1]
    assert looking.cleaned == 1
    assert looking.lines[-2][1].startswith("the process is ended: it has stood still for 3.0 s")
    assert looking.lines[-1][1].startswith("a greenlet waits:\n")


def test_a_stop_is_kept_where_the_loop_cannot():
    looking = Looking(graceful_timeout_seconds=4)
    looking.watchdog.stopping(signal.SIGTERM)
    looking.turn()
    looking.stand(3.9)
    assert looking.ended == []
    looking.stand(0.3)
    assert looking.ended == [128 + signal.SIGTERM]
    assert looking.cleaned == 1
    assert "SIGTERM came 4." in looking.lines[-1][1]


def test_a_stop_is_left_to_a_loop_that_turns():
    """It may take longer: who still connects is answered, and what does not end is cut."""
    looking = Looking(graceful_timeout_seconds=1)
    looking.watchdog.stopping(signal.SIGTERM)
    for _ in range(50):
        looking.stand(0.1)
        looking.turn()
    assert looking.ended == []


def test_a_signal_that_no_handler_can_take_counts_as_long_as_the_loop_stands():
    looking = Looking(graceful_timeout_seconds=2)
    looking.stand(0.5)
    looking.stand(2.2, signals=bytes([signal.SIGTERM]))
    assert looking.ended == [128 + signal.SIGTERM]


def test_once_the_loop_turns_it_is_the_handlers_affair():
    looking = Looking(graceful_timeout_seconds=2)
    looking.stand(0.5, signals=bytes([signal.SIGTERM]))
    looking.turn()
    looking.stand(10)
    assert looking.ended == []


def test_other_signals_stop_nothing():
    looking = Looking(graceful_timeout_seconds=2)
    looking.stand(10, signals=bytes([signal.SIGCHLD, signal.SIGHUP]))
    assert looking.ended == []


def test_a_second_signal_that_no_handler_can_take_ends_the_process_at_once():
    looking = Looking()
    looking.stand(1, signals=bytes([signal.SIGTERM]))
    looking.stand(1, signals=bytes([signal.SIGINT]))
    assert looking.ended == [128 + signal.SIGINT]
    assert looking.lines[-1][1].startswith("SIGINT came once more: the process is ended where")


def test_a_second_sigterm_of_a_process_manager_means_nothing_new_if_it_is_quick():
    looking = Looking(repeat_seconds=3.0)
    looking.stand(1, signals=bytes([signal.SIGTERM]))
    looking.stand(2, signals=bytes([signal.SIGTERM]))
    assert looking.ended == []
    looking.stand(2)
    looking.stand(1, signals=bytes([signal.SIGTERM]))
    assert looking.ended == [128 + signal.SIGTERM]


@pytest.mark.parametrize("handler_first", [True, False])
def test_a_signal_that_the_handler_takes_and_the_thread_sees_is_one(handler_first):
    looking = Looking(graceful_timeout_seconds=30)
    came = bytes([signal.SIGTERM])
    if handler_first:
        looking.watchdog.stopping(signal.SIGTERM)
        looking.stand(5, signals=came)
    else:
        looking.stand(0.01, signals=came)
        looking.watchdog.stopping(signal.SIGTERM)
        looking.stand(5)
    assert looking.ended == []


def test_a_call_in_c_that_lets_no_thread_run_is_named_afterwards():
    looking = Looking()
    looking.now += 5
    looking.worked += 4.9
    looking.turn()
    [(level, text)] = looking.lines
    assert level == "WARNING"
    assert text.startswith(
        "for 4.2 s nobody else was answered: a call in C let no other thread run."
    )


def test_calls_that_let_no_thread_run_are_named_once_for_each_place_and_none_is_kept():
    for level, lines in (("info", 1), ("error", 0)):
        looking = Looking(log_level=level)
        for number in range(limits.PLACES_REMEMBERED * 2):
            looking.request = SimpleNamespace(params={"PATH_INFO": f"/{number}"})
            looking.now += 2
            looking.worked += 2
            looking.turn()
            looking.now -= 2  # no time passes between them
            looking.watchdog._looked_at = looking.now
        assert len(looking.lines) == lines
        assert len(looking.watchdog._told) == lines


def test_a_persons_time_at_a_breakpoint_does_not_count(monkeypatch):
    looking = Looking(block_kill_seconds=10)
    looking.stand(0.5)
    monkeypatch.setattr(watchdog, "in_debugger", lambda _frame: True)
    looking.stand(60)
    monkeypatch.setattr(watchdog, "in_debugger", lambda _frame: False)
    looking.stand(5)
    assert looking.ended == []
    looking.stand(6)
    assert len(looking.ended) == 1


def test_a_process_that_was_stopped_has_held_up_nobody():
    looking = Looking()
    looking.now += 5
    looking.worked += 0.1
    looking.turn()
    assert looking.lines == []


def test_faulthandler_is_left_to_the_application_until_there_is_a_need(last_resorts):
    looking = Looking()
    looking.stand(5)
    assert last_resorts == []


@pytest.mark.parametrize("block_log_seconds", [0, 1, 3600])
def test_faulthandler_ends_a_stop_that_even_the_thread_cannot(last_resorts, block_log_seconds):
    looking = Looking(graceful_timeout_seconds=10, block_log_seconds=block_log_seconds)
    looking.watchdog.stopping(signal.SIGTERM)
    looking.pause = looking.watchdog.look(HERE)  # it is woken
    assert last_resorts[:1] == [10 + limits.LAST_RESORT_SECONDS]
    for _ in range(30):
        looking.stand(0.4)
        looking.turn()
    # The loop goes on after the time: it is put off as long as it does.
    assert 0 <= last_resorts[-1] - limits.LAST_RESORT_SECONDS <= 1


def test_faulthandler_stands_behind_block_kill_seconds(last_resorts):
    looking = Looking(block_kill_seconds=20)
    looking.turn()
    assert last_resorts[-1] == 20 + limits.LAST_RESORT_SECONDS


def test_how_long_the_loop_stands_can_be_asked():
    looking = Looking()
    assert looking.watchdog.standing_seconds == 0
    looking.stand(3)
    assert looking.watchdog.standing_seconds == pytest.approx(3)
    looking.turn()
    assert looking.watchdog.standing_seconds == 0
    assert standing_seconds() == 0  # nobody watches this process


def test_a_process_without_a_descriptor_left_is_not_watched_and_starts(monkeypatch):
    def pipe():
        raise OSError(errno.EMFILE, "Too many open files")

    looking = Looking()
    monkeypatch.setattr(os, "pipe", pipe)
    looking.watchdog.start()
    [(_, text)] = looking.lines
    assert text.startswith("nobody watches whether the process stands still: ")


def test_a_start_is_named_after_a_longer_time_and_not_ended(last_resorts):
    now = [1000.0]
    lines, ended = [], []
    watchdog = Watchdog(
        Options(block_kill_seconds=2),
        clock=lambda: now[0],
        processor=lambda: 0.0,
        write=lambda level, text: lines.append(text),
        end=ended.append,
    )
    while now[0] < 1000 + limits.START_STANDS_TIMES - 0.1:
        now[0] += min(watchdog.look(HERE), 0.1)
    assert lines == []
    while now[0] < 1010:
        now[0] += watchdog.look(HERE)
    assert lines[0].startswith("the start has stood still for 5.")
    watchdog.look(sys._getframe())
    assert lines[1].startswith("the start went on after ")
    assert ended == last_resorts == []


class Slow:
    """A slow log that says of every request what it is told, after so many looks."""

    look_seconds = 0.5

    def __init__(self, after=0):
        self.asked = []
        self.after = after

    def standing(self, observed, frame, *, known):
        self.asked.append((observed, known))
        if len(self.asked) <= self.after:
            return ""
        self.after = 1_000_000
        return "" if known else f"{observed} is slow in {frame.f_code.co_name}"


REQUEST = SimpleNamespace(params={"PATH_INFO": "/slow"}, observed="the request")


def elsewhere():
    return sys._getframe()


def test_a_slow_request_that_holds_up_everybody_is_told_and_its_stack_is_not_shown_twice():
    looking = Looking(slow=Slow(), block_log_seconds=2)
    looking.request = REQUEST
    looking.stand(5, elsewhere())
    slow, block = looking.lines
    assert slow == ("WARNING", "the request is slow in elsewhere")
    assert "nobody else was answered" in block[1]
    assert "\n" not in block[1]


def test_where_the_watchdog_has_shown_it_the_slow_log_does_not():
    slow = Slow(after=5)
    looking = Looking(slow=slow, block_log_seconds=1)
    looking.request = REQUEST
    looking.stand(5, elsewhere())
    [(_, text)] = looking.lines
    assert "nobody else was answered" in text
    assert "in elsewhere" in text
    assert slow.asked[-1] == ("the request", True)


def test_another_place_of_the_same_standstill_is_shown():
    looking = Looking(slow=Slow(after=5), block_log_seconds=1)
    looking.request = REQUEST
    looking.stand(1.6, HERE)
    looking.stand(5, elsewhere())
    assert [text.partition(" ")[0] for _, text in looking.lines] == ["for", "the"]


def test_the_slow_log_is_asked_where_the_watchdog_itself_says_nothing():
    looking = Looking(slow=Slow(), block_log_seconds=0)
    looking.request = REQUEST
    assert looking.pause == Slow.look_seconds
    looking.stand(3, elsewhere())
    assert looking.lines == [("WARNING", "the request is slow in elsewhere")]


def test_the_slow_log_is_not_asked_while_the_loop_turns_or_for_code_of_no_request():
    slow = Slow()
    looking = Looking(slow=slow, block_log_seconds=0)
    looking.request = REQUEST
    looking.turn()
    looking.request = None
    looking.stand(3)
    looking.request = SimpleNamespace(params={}, observed=None)
    looking.stand(3)
    assert slow.asked == []


def test_the_slow_log_is_quiet_where_warnings_are():
    slow = Slow()
    looking = Looking(slow=slow, log_level="error")
    looking.request = REQUEST
    looking.stand(3)
    assert looking.lines == slow.asked == []
