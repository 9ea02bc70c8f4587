"""gfcgi.server.pulse: a thread of the system asks whether the loop turns."""

from __future__ import annotations

import sys
import time

import gevent
import pytest
from gevent.monkey import get_original

from gfcgi.server.pulse import Pulse, call_soon, request_at

start_thread = get_original("_thread", "start_new_thread")
sleep = get_original("time", "sleep")


@pytest.fixture
def pulse():
    return Pulse()


def asked_meanwhile(pulse, during, seconds=0.1):
    """What a thread is told that asks again and again while ``during`` runs here."""
    told = []
    done = []

    def ask():
        while not done:
            told.append(pulse.turns(sys._current_frames().get(pulse.thread)))
            sleep(seconds / 10)
        done.append(True)

    start_thread(ask, ())
    during()
    done.append(True)
    while len(done) < 2:
        sleep(0.001)
    return told


def test_a_loop_that_waits_turns_and_is_not_woken(pulse):
    told = asked_meanwhile(pulse, lambda: gevent.sleep(0.5))
    assert told.count(False) <= 1  # before it waits
    assert not pulse._asked


def test_a_greenlet_that_never_waits_keeps_the_loop_from_turning(pulse):
    def compute():
        until = time.monotonic() + 0.5
        while time.monotonic() < until:
            pass

    told = asked_meanwhile(pulse, compute)
    assert told[0]
    assert not any(told[1:])
    before = pulse.turned_at
    gevent.sleep(0.001)
    assert pulse.turned_at > before
    assert pulse.turns(sys._getframe())


def test_greenlets_that_wait_often_let_it_turn(pulse):
    def work():
        until = time.monotonic() + 0.5
        while time.monotonic() < until:
            for _ in range(100):
                time.monotonic()
            gevent.sleep(0)

    assert asked_meanwhile(pulse, work).count(True) > 1


def test_functions_are_called_when_it_turns(pulse):
    called = []
    pulse.call(called.append, "in a greenlet")
    pulse.call_soon(lambda: called.append("in the loop"))
    call_soon(lambda: called.append("and again"))
    assert called == []
    gevent.sleep(0.001)
    assert called == ["in a greenlet", "in the loop", "and again"]


def test_code_that_runs_no_request_has_none():
    assert request_at(sys._getframe()) is None
    assert request_at(None) is None
