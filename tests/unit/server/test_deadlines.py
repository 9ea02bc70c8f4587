"""gfcgi.server.deadlines: what is late, told by times that the tests make up."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gfcgi import limits
from gfcgi.options import Options
from gfcgi.server import deadlines
from gfcgi.server.deadlines import NEVER, Deadlines, Wheel

BEGAN = 1000.0
OPTIONS = Options(
    params_timeout_seconds=30,
    stdin_timeout_seconds=300,
    stdout_timeout_seconds=400,
    idle_timeout_seconds=3600,
)


@pytest.fixture
def clocks():
    return Deadlines(OPTIONS, BEGAN)


def late(clocks, now):
    """Kinds and owners of what is late."""
    return [(one.kind, one.of) for one in clocks.late(now)]


def bound_of(clocks, seconds, kind, of=None):
    """Nothing is late at the bound, and ``kind`` is right after it; the next look is due there."""
    expiry = clocks.next_expiry()
    assert expiry == pytest.approx(BEGAN + seconds)
    assert late(clocks, expiry) == []
    assert (kind, of) in late(clocks, expiry + 0.001)


def test_the_first_byte_has_the_time_of_params(clocks):
    bound_of(clocks, 30, deadlines.FIRST_BYTE)


def test_the_first_byte_after_a_stop_has_less(clocks):
    clocks.draining = True
    assert clocks.expects_first_byte(BEGAN + limits.FIRST_BYTES_SECONDS / 2)
    assert not clocks.expects_first_byte(BEGAN + limits.FIRST_BYTES_SECONDS)
    bound_of(clocks, limits.FIRST_BYTES_SECONDS, deadlines.FIRST_BYTE)


def test_who_has_asked_for_values_after_a_stop_is_expected_to_send_a_request(clocks):
    clocks.drains(BEGAN + 100)
    asked = BEGAN + 200
    clocks.asked(asked)
    clocks.became_idle(asked)
    assert clocks.expects_request(asked + limits.FIRST_BYTES_SECONDS / 2)
    assert not clocks.expects_request(asked + limits.FIRST_BYTES_SECONDS)
    clocks.request_begun()
    clocks.became_idle(asked + 0.1)
    assert not clocks.expects_request(asked + 0.1)


def test_a_connection_with_a_request_waits_for_nothing(clocks):
    clocks.request_begun()
    assert clocks.next_expiry() == NEVER
    assert late(clocks, BEGAN + 1e9) == []


def test_an_idle_connection_has_its_bound_from_the_end_of_its_last_request(clocks):
    clocks.request_begun()
    clocks.became_idle(BEGAN + 5000)
    bound_of(clocks, 5000 + 3600, deadlines.IDLE)


def test_each_request_has_a_clock_for_its_params(clocks):
    clocks.incomplete([1], -1, BEGAN)
    clocks.incomplete([1, 2], -1, BEGAN + 20)
    bound_of(clocks, 30, deadlines.PARAMS, 1)
    assert late(clocks, BEGAN + 31) == [(deadlines.PARAMS, 1)]
    clocks.incomplete([2], -1, BEGAN + 40)
    assert late(clocks, BEGAN + 49) == []
    bound_of(clocks, 50, deadlines.PARAMS, 2)


def test_params_of_a_request_that_was_refused_do_not_count_for_the_next_of_its_id(clocks):
    clocks.incomplete([1], -1, BEGAN)
    clocks.request_refused(1)
    clocks.incomplete([1], -1, BEGAN + 20)
    bound_of(clocks, 50, deadlines.PARAMS, 1)


def test_one_record_after_another_that_is_incomplete_is_not_one_that_is_late(clocks):
    for number in range(100):
        clocks.incomplete([], number, BEGAN + 20 * number)
        assert late(clocks, BEGAN + 20 * number + 19) == []
    clocks.incomplete([], 99, BEGAN + 2000)
    bound_of(clocks, 99 * 20 + 30, deadlines.RECORD)


def test_a_record_that_is_complete_has_no_clock(clocks):
    clocks.request_begun()
    clocks.incomplete([], 7, BEGAN)
    assert clocks.anything_incomplete
    clocks.incomplete([], -1, BEGAN + 1)
    assert not clocks.anything_incomplete
    assert clocks.next_expiry() == NEVER


def test_each_body_has_a_clock_that_ends_with_the_wait(clocks):
    clocks.request_begun()
    clocks.body_waits("one", BEGAN)
    clocks.body_waits("other", BEGAN + 100)
    bound_of(clocks, 300, deadlines.BODY, "one")
    clocks.body_waits("one", 0.0)
    bound_of(clocks, 400, deadlines.BODY, "other")


def test_a_write_that_waits_is_judged_alone(clocks):
    clocks.incomplete([1], 3, BEGAN)
    clocks.body_waits("stream", BEGAN)
    clocks.write_waits(BEGAN)
    assert late(clocks, BEGAN + 399) == []
    bound_of(clocks, 400, deadlines.WRITE)
    clocks.write_waits(0.0)
    assert (deadlines.PARAMS, 1) in late(clocks, BEGAN + 399)


def test_nothing_is_late_while_we_do_not_read_and_no_clock_goes_on(clocks):
    clocks.request_begun()
    clocks.incomplete([1], 3, BEGAN)
    clocks.body_waits("before", BEGAN)
    clocks.paused(BEGAN + 10)
    clocks.paused(BEGAN + 500)
    clocks.body_waits("since", BEGAN + 600)
    assert clocks.next_expiry() == NEVER
    assert late(clocks, BEGAN + 1e6) == []
    clocks.resumed(BEGAN + 1000)
    clocks.resumed(BEGAN + 1001)
    assert late(clocks, BEGAN + 1020) == []
    assert {kind for kind, _ in late(clocks, BEGAN + 1020.1)} == {
        deadlines.PARAMS,
        deadlines.RECORD,
    }
    assert (deadlines.BODY, "before") in late(clocks, BEGAN + 1290.1)
    assert (deadlines.BODY, "since") not in late(clocks, BEGAN + 1300)
    assert (deadlines.BODY, "since") in late(clocks, BEGAN + 1300.1)


def test_lingering_ends_without_bytes_and_in_any_case(clocks):
    clocks.lingers(BEGAN)
    bound_of(clocks, limits.LINGER_SECONDS, deadlines.LINGERING)
    now = BEGAN
    while now < BEGAN + limits.LINGER_TOTAL_SECONDS - 2:
        now += 2
        clocks.received(now)
        assert late(clocks, now) == []
    bound_of(clocks, limits.LINGER_TOTAL_SECONDS, deadlines.LINGERING)


# -- the wheel


class Entry:
    """Someone with a deadline that moves."""

    def __init__(self, at=0.0):
        self.tick = 0
        self.at = at
        self.looks = 0

    def check_timeouts(self, now):
        self.looks += 1


def test_those_whose_time_has_not_come_are_not_looked_at():
    wheel = Wheel(5.0, BEGAN)
    many = [Entry() for _ in range(1000)]
    for entry in many:
        wheel.schedule(entry, BEGAN + 3600)
    for seconds in range(0, 3600, 5):
        assert wheel.due(BEGAN + seconds) == []
    assert set(wheel.due(BEGAN + 3610)) == set(many)
    assert wheel.due(BEGAN + 9999) == []


def test_a_deadline_that_moves_to_a_later_time_costs_nothing_and_one_that_moves_nearer_counts():
    wheel = Wheel(1.0, BEGAN)
    entry = Entry()
    wheel.schedule(entry, BEGAN + 50)
    tick = entry.tick
    wheel.schedule(entry, BEGAN + 500)
    assert entry.tick == tick
    wheel.schedule(entry, BEGAN + 10)
    assert wheel.due(BEGAN + 10) == []
    assert wheel.due(BEGAN + 11) == [entry]
    assert wheel.due(BEGAN + 1000) == []


def test_who_is_removed_is_never_due():
    wheel = Wheel(1.0, BEGAN)
    entry = Entry()
    wheel.remove(entry)
    wheel.schedule(entry, BEGAN + 10)
    wheel.remove(entry)
    assert wheel.due(BEGAN + 1000) == []


def test_a_time_that_has_passed_is_due_with_the_next_tick():
    wheel = Wheel(1.0, BEGAN)
    entry = Entry()
    assert wheel.due(BEGAN + 100) == []
    wheel.schedule(entry, BEGAN + 5)
    assert wheel.due(BEGAN + 101) == [entry]


@given(
    steps=st.lists(
        st.one_of(
            st.tuples(st.just("schedule"), st.integers(0, 5), st.floats(0, 100)),
            st.tuples(st.just("remove"), st.integers(0, 5), st.just(0.0)),
            st.tuples(st.just("wait"), st.just(0), st.floats(0, 40)),
        )
    )
)
def test_everybody_is_due_within_two_ticks_of_the_earliest_time_asked_for(steps):
    seconds, now = 3.0, BEGAN
    wheel = Wheel(seconds, now)
    entries = [Entry() for _ in range(6)]
    earliest: dict[Entry, float] = {}
    for what, which, number in steps:
        entry = entries[which]
        if what == "schedule":
            wheel.schedule(entry, now + number)
            earliest[entry] = min(now + number, earliest.get(entry, NEVER))
        elif what == "remove":
            wheel.remove(entry)
            earliest.pop(entry, None)
        else:
            now += number
            for due in wheel.due(now):
                assert earliest.pop(due) <= now
            assert all(at > now - seconds for at in earliest.values())
    assert {entry for entry in entries if entry.tick} == set(earliest)
