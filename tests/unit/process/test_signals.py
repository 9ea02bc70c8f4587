"""gfcgi.process.signals: in order at first, at once the second time."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from signal import SIGHUP, SIGINT, SIGTERM, SIGUSR1

import pytest

from gfcgi.process.signals import SIGNALS, StopSignals, hold, holds, release


@pytest.fixture
def calls():
    return []


@pytest.fixture
def signals(calls):
    return StopSignals(lambda: calls.append("stop"), calls.append)


@pytest.mark.parametrize("signum", SIGNALS)
def test_the_first_signal_stops_in_order(signals, calls, signum):
    with signals:
        os.kill(os.getpid(), signum)
        signal.sigpending()
        assert calls == ["stop"]
        assert signals.received == [signum]


@pytest.mark.parametrize(
    ("sent", "at_once"),
    [
        ((SIGTERM, SIGTERM), SIGTERM),
        ((SIGTERM, SIGINT), SIGINT),
        ((SIGINT, SIGTERM), SIGTERM),
        ((SIGINT, SIGINT), SIGINT),
        ((SIGHUP, SIGHUP), SIGHUP),
        ((SIGUSR1, SIGUSR1), SIGUSR1),
        ((SIGUSR1, SIGTERM, SIGTERM), SIGTERM),
        ((SIGUSR1, SIGTERM, SIGINT), SIGINT),
        # One graceful restart of Apache: to the group, and from its process manager.
        ((SIGUSR1, SIGTERM), None),
        ((SIGTERM, SIGUSR1), None),
        ((SIGHUP, SIGTERM), None),
        ((SIGTERM, SIGHUP), None),
        ((SIGHUP, SIGUSR1, SIGTERM), None),
    ],
)
def test_which_second_signal_means_at_once(signals, calls, sent, at_once):
    for signum in sent:
        signals.handle(signum, None)
    assert calls == (["stop"] if at_once is None else ["stop", at_once])


@pytest.mark.parametrize(
    ("times", "at_once"), [([0.0, 1.3], False), ([0.0, 1.3, 2.6], False), ([0.0, 3.5], True)]
)
def test_a_process_managers_quick_second_sigterm_says_nothing_new(calls, times, at_once):
    clock = iter(times)
    signals = StopSignals(
        lambda: calls.append("stop"), calls.append, managed=True, clock=lambda: next(clock)
    )
    for _ in times:
        signals.handle(SIGTERM, None)
    assert calls == (["stop", SIGTERM] if at_once else ["stop"])


def test_handlers_are_put_back_afterwards(signals):
    before = [signal.getsignal(signum) for signum in SIGNALS]
    with signals:
        assert [signal.getsignal(signum) for signum in SIGNALS] != before
    assert [signal.getsignal(signum) for signum in SIGNALS] == before


def test_a_handler_that_was_not_set_from_python_becomes_the_default(signals, monkeypatch):
    original = signal.getsignal(SIGUSR1)
    monkeypatch.setattr(signal, "getsignal", lambda signum: None)
    try:
        with signals:
            monkeypatch.undo()
        assert signal.getsignal(SIGUSR1) == signal.SIG_DFL
    finally:
        for signum in SIGNALS:
            signal.signal(signum, signal.default_int_handler if signum == SIGINT else original)


@pytest.mark.parametrize("signum", SIGNALS)
def test_what_nohup_ignores_stays_ignored(signals, signum):
    before = signal.signal(signum, signal.SIG_IGN)
    try:
        with signals:
            stays = signal.getsignal(signum) == signal.SIG_IGN
            assert stays is (signum in (SIGINT, SIGHUP))
    finally:
        signal.signal(signum, before)


def test_outside_the_main_thread_it_serves_without_signals_and_says_so(signals, caplog):
    served = []

    def serve():
        with signals:
            served.append(True)

    thread = threading.Thread(target=serve)
    thread.start()
    thread.join(30)
    assert served == [True]
    assert "signals do not stop this server" in caplog.text


@pytest.fixture
def held():
    hold()
    yield
    release()


@pytest.mark.parametrize("signum", SIGNALS)
def test_a_signal_that_was_held_stops_as_soon_as_signals_are_handled(held, signals, calls, signum):
    os.kill(os.getpid(), signum)
    with signals:
        assert calls == ["stop"]
    assert signals.received == [signum]


def test_held_signals_count_in_the_order_in_which_they_came(held, signals, calls):
    os.kill(os.getpid(), SIGUSR1)
    os.kill(os.getpid(), SIGTERM)
    with signals:
        assert signals.received == [SIGUSR1, SIGTERM]
    assert calls == ["stop"]


def test_what_was_held_has_its_effect_once_signals_are_released():
    hold()
    os.kill(os.getpid(), SIGINT)
    with pytest.raises(KeyboardInterrupt):
        release()


def test_handlers_are_as_before_once_signals_are_released():
    before = [signal.getsignal(signum) for signum in SIGNALS]
    hold()
    hold()
    assert [signal.getsignal(signum) for signum in SIGNALS] != before
    release()
    assert [signal.getsignal(signum) for signum in SIGNALS] == before


def test_a_person_who_presses_ctrl_c_twice_does_not_wait_for_the_start(python):
    done = python(
        "signals.hold(); kill(SIGINT); print('held', flush=True); kill(SIGINT); time.sleep(60)"
    )
    assert (done.returncode, done.stdout) == (-SIGINT, "held\n")


def test_signals_that_were_blocked_when_the_process_started_are_held(python):
    done = python(
        "signal.pthread_sigmask(signal.SIG_BLOCK, signals.SIGNALS); kill(SIGTERM)",
        "signals.hold()",
        "with signals.StopSignals(lambda: print('stop'), print): pass",
    )
    assert (done.returncode, done.stdout) == (0, "stop\n")


def test_a_child_that_the_application_forks_is_not_held(python):
    done = python(
        "signals.hold(); child = os.fork()",
        "if not child: kill(SIGTERM); time.sleep(60)",
        "print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))",
    )
    assert (done.returncode, done.stdout) == (0, f"{-SIGTERM}\n"), done.stderr


def test_programs_that_are_started_meanwhile_have_no_signal_held(python):
    """A program would inherit a mask, and could not be told to stop."""
    look = (
        "import signal;"
        "print(signal.pthread_sigmask(0, ()), signal.getsignal(signal.SIGTERM) == signal.SIG_DFL)"
    )
    done = python(
        # Without `site`, so that coverage, which takes SIGTERM, does not run there.
        f"signals.hold(); import subprocess; subprocess.run([sys.executable, '-S', '-c', {look!r}])"
    )
    assert done.stdout == "set() True\n", done.stderr


def test_nothing_is_held_outside_the_main_thread():
    before = [signal.getsignal(signum) for signum in SIGNALS]
    thread = threading.Thread(target=hold)
    thread.start()
    thread.join(30)
    assert [signal.getsignal(signum) for signum in SIGNALS] == before
    release()


def test_the_applications_own_handler_stays(held):
    def own(number, frame):
        raise AssertionError

    before = signal.signal(SIGUSR1, own)
    try:
        release()
        assert signal.getsignal(SIGUSR1) is own
    finally:
        signal.signal(SIGUSR1, signal.SIG_DFL)
    assert before is not own


@pytest.fixture
def python():
    def python(*lines):
        head = "import os, signal, sys, time\nfrom signal import SIGINT, SIGTERM\n"
        head += "from gfcgi.process import signals\n"
        head += "def kill(signum): os.kill(os.getpid(), signum)\n"
        return subprocess.run(
            [sys.executable, "-c", head + "\n".join(lines)],
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )

    return python


def test_which_signals_stop_is_known_while_they_are_handled():
    with StopSignals(lambda: None, lambda number: None) as signals:
        assert set(signals.stopping) == set(SIGNALS)
    assert set(signals.stopping) == set()
    with StopSignals(
        lambda: None, lambda number: None, renew=lambda: None, reopen=lambda: None
    ) as signals:
        assert set(signals.stopping) == {SIGTERM, SIGINT}


def test_a_signal_is_kept_only_while_signals_are_held():
    assert not holds(SIGTERM)
    hold()
    try:
        assert holds(SIGTERM)
    finally:
        release()
    assert not holds(SIGTERM)
