"""gfcgi.process.signals: in order at first, at once the second time."""

from __future__ import annotations

import os
import signal
import threading
from signal import SIGHUP, SIGINT, SIGTERM, SIGUSR1

import pytest

from gfcgi.process.holding import SIGNALS, held_back
from gfcgi.process.signals import StopSignals


@pytest.fixture
def calls():
    return []


@pytest.fixture
def signals(calls):
    return StopSignals(lambda: calls.append("stop"), calls.append)


@pytest.mark.parametrize("signum", SIGNALS)
def test_the_first_signal_stops_in_order(signals, calls, signum):
    with signals.handled():
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
    with signals.handled():
        assert [signal.getsignal(signum) for signum in SIGNALS] != before
    assert [signal.getsignal(signum) for signum in SIGNALS] == before


def test_a_handler_that_was_not_set_from_python_becomes_the_default(signals, monkeypatch):
    original = signal.getsignal(SIGUSR1)
    monkeypatch.setattr(signal, "getsignal", lambda signum: None)
    try:
        with signals.handled():
            pass
        monkeypatch.undo()
        assert signal.getsignal(SIGUSR1) == signal.SIG_DFL
    finally:
        for signum in SIGNALS:
            signal.signal(signum, signal.default_int_handler if signum == SIGINT else original)


@pytest.mark.parametrize("signum", SIGNALS)
def test_what_nohup_ignores_stays_ignored(signals, signum):
    before = signal.signal(signum, signal.SIG_IGN)
    try:
        with signals.handled():
            stays = signal.getsignal(signum) == signal.SIG_IGN
            assert stays is (signum in (SIGINT, SIGHUP))
    finally:
        signal.signal(signum, before)


def test_outside_the_main_thread_it_serves_without_signals_and_says_so(signals, caplog):
    served = []

    def serve():
        with signals.handled():
            served.append(True)

    thread = threading.Thread(target=serve)
    thread.start()
    thread.join(30)
    assert served == [True]
    assert "signals do not stop this server" in caplog.text


def test_signals_that_were_held_back_come_when_they_are_handled(signals, calls):
    with held_back():
        # To this thread: where there is another, with nothing blocked, the process would end.
        signal.raise_signal(SIGTERM)
        assert calls == []
        with signals.handled():
            assert calls == ["stop"]
        assert signals.received == [SIGTERM]


def test_signals_are_held_back_no_longer_than_the_body_runs():
    before = signal.pthread_sigmask(signal.SIG_BLOCK, ())
    with held_back():
        assert set(SIGNALS) <= signal.pthread_sigmask(signal.SIG_BLOCK, ())
    assert signal.pthread_sigmask(signal.SIG_BLOCK, ()) == before
