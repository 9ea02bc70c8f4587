"""gfcgi.process.slow_log: where a request stands is said once, and once more when it has ended."""

from __future__ import annotations

import sys

import pytest
import webserver_side as wire

from gfcgi import limits
from gfcgi.process.slow_log import SlowLog
from gfcgi.wsgi.observed import Observed

HERE = sys._getframe()


class Looking:
    def __init__(self, seconds=5.0):
        self.lines = []
        self.frames = {}
        self.log = SlowLog(
            seconds,
            warn=lambda text, *values: self.lines.append(text % values),
            frame_of=lambda observed: self.frames.get(observed, HERE),
        )

    def begin(self, path="/", ago=0.0):
        observed = Observed(wire.cgi_params(PATH_INFO=path), None, None)
        observed.began -= ago
        self.log.request_begun(observed)
        return observed

    def end(self, observed):
        observed.end()
        self.log.request_ended(observed)


@pytest.fixture
def looking():
    return Looking()


def test_a_request_that_takes_long_is_told_once_with_its_stack_and_once_at_its_end(looking):
    slow = looking.begin("/slow", ago=6)
    quick = looking.begin("/quick")
    looking.log.look()
    looking.log.look()
    [line] = looking.lines
    first, *stack = line.split("\n")
    assert first.startswith(f"GET /slow from 127.0.0.1 has run for 6.0 s and stands in {__file__}")
    assert stack[-1].startswith(f'  File "{__file__}"')
    looking.end(quick)
    assert len(looking.lines) == 1
    slow.began -= 1
    looking.end(slow)
    assert looking.lines[1:] == ["GET /slow from 127.0.0.1 took 7.0 s in all: nothing was sent"]
    assert not looking.log._running
    assert not looking.log._told


def test_one_that_has_ended_before_anybody_looked_is_told_at_its_end(looking):
    slow = looking.begin(ago=6)
    slow.count(b"Status: 404 Not Found\r\n\r\n")
    looking.end(slow)
    assert looking.lines == ["GET / from 127.0.0.1 took 6.0 s in all: 404 Not Found"]


def test_requests_at_one_place_share_a_line(looking):
    for number in range(13):
        looking.begin(f"/{number}", ago=6)

    def elsewhere():
        return sys._getframe()

    looking.frames[looking.begin("/else", ago=5.5)] = elsewhere()
    looking.log.look()
    together, alone = looking.lines
    assert "so do GET /1 from 127.0.0.1, GET /2 " in together
    assert " and 2 more\n" in together
    assert alone.startswith("GET /else ")
    assert alone.endswith("in elsewhere")


def test_one_that_waits_until_it_may_run_is_told_when_it_runs(looking):
    waits = looking.begin("/waits", ago=6)
    waits.in_line = True
    moves = looking.begin("/moves", ago=6)
    looking.frames[moves] = None
    looking.log.look()
    assert looking.lines == []
    waits.in_line = False
    looking.log.look()
    assert looking.lines[0].startswith("GET /waits ")


def test_what_the_watchdog_has_said_is_not_said_again(looking):
    slow = looking.begin("/slow", ago=6)
    assert looking.log.standing(slow, HERE, known=True) == ""
    looking.log.look()
    assert looking.lines == []
    looking.end(slow)
    assert looking.lines == ["GET /slow from 127.0.0.1 took 6.0 s in all: nothing was sent"]


def test_the_watchdog_is_given_what_holds_up_the_loop_once(looking):
    quick, slow = looking.begin("/quick"), looking.begin("/slow", ago=6)
    assert looking.log.standing(quick, HERE, known=False) == ""
    said = looking.log.standing(slow, HERE, known=False)
    assert said.startswith("GET /slow from 127.0.0.1 has run for 6.0 s and stands in ")
    assert f'\n  File "{__file__}"' in said
    assert looking.log.standing(slow, HERE, known=False) == ""
    looking.log.look()
    assert looking.lines == []


def test_a_client_breaks_no_line(looking):
    looking.end(looking.begin("/\n2026-11-27", ago=6))
    assert "\n" not in looking.lines[0]


@pytest.mark.parametrize(
    ("seconds", "look_seconds"),
    [
        (0.01, limits.SLOW_LOOK_LEAST_SECONDS),
        (4, 0.5),
        (3600, limits.SLOW_LOOK_MOST_SECONDS),
    ],
)
def test_it_looks_at_an_eighth_of_the_bound_and_neither_too_often_nor_too_seldom(
    seconds, look_seconds
):
    assert SlowLog(seconds).look_seconds == look_seconds


def test_a_look_that_fails_is_not_the_last(looking, caplog):
    def fails(observed):
        raise ValueError

    looking.log._frame_of = fails
    looking.begin(ago=6)
    looking.log._look_safely()
    assert "looking at the requests that take long failed" in caplog.text
