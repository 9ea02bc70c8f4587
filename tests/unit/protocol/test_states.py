"""The table of streams, walked through: what it names is taken, and nothing else is."""

from __future__ import annotations

import pytest
import webserver_side as wire
from replay import Transcript

from gfcgi.protocol import ApplicationConnection, RecordType, Role
from gfcgi.protocol.states import STREAM_TRANSITIONS, State

STREAMS = {RecordType.PARAMS, RecordType.STDIN, RecordType.DATA}

# How a Web server brings a request of a role into a state: the streams that it ends, in order.
WAYS = {
    (role, state): way
    for role, ways in {
        Role.RESPONDER: {State.PARAMS: (), State.STDIN: (4,), State.COMPLETE: (4, 5)},
        Role.AUTHORIZER: {State.PARAMS: (), State.STDIN: (4,), State.COMPLETE: (4, 5)},
        Role.FILTER: {
            State.PARAMS: (),
            State.STDIN_AND_DATA: (4,),
            State.STDIN: (4, 8),
            State.DATA: (4, 5),
            State.COMPLETE: (4, 5, 8),
        },
    }.items()
    for state, way in ways.items()
}
OTHER_THAN_ABORT = [number for number in range(256) if number != RecordType.ABORT_REQUEST]


def request_in(role: Role, state: State) -> Transcript:
    content = wire.begin_request(7, role, keep_conn=True)
    content += b"".join(wire.record(ended, 7) for ended in WAYS[role, state])
    return Transcript(ApplicationConnection()).feed([content])


def test_there_is_a_way_into_every_state_of_the_table():
    table = {(role, state) for role, states in STREAM_TRANSITIONS.items() for state in states}
    assert set(WAYS) == table
    assert set(STREAM_TRANSITIONS) == set(Role)


@pytest.mark.parametrize(("role", "state"), WAYS)
@pytest.mark.parametrize("content", [b"", b"\0\0"], ids=["empty", "with content"])
def test_a_record_is_taken_just_where_the_table_names_its_type(
    role: Role, state: State, content: bytes
):
    allowed = STREAM_TRANSITIONS[role][state]
    assert set(allowed) <= STREAMS
    for record_type in OTHER_THAN_ABORT:
        transcript = request_in(role, state)
        before = len(transcript.events)
        transcript.feed([wire.record(record_type, 7, content)])
        new = transcript.events[before:]
        if record_type in allowed:
            assert not [event for event in new if event[0] == "error"], record_type
        else:
            assert new == [("error", "request", 7, "3.3")], record_type


@pytest.mark.parametrize(("role", "state"), WAYS)
def test_an_abort_is_taken_in_every_state(role: Role, state: State):
    transcript = request_in(role, state)
    assert transcript.feed([wire.abort_request(7)]).events[-1] == ("AbortRequest", 7)


@pytest.mark.parametrize(("role", "state"), WAYS)
def test_an_empty_record_ends_its_stream_and_content_does_not(role: Role, state: State):
    for record_type, after in STREAM_TRANSITIONS[role][state].items():
        transcript = request_in(role, state).feed([wire.record(record_type, 7, b"\0\0")])
        transcript.feed([wire.record(record_type, 7)])
        assert transcript.events[-1][0] != "error"
        for next_type in STREAMS:
            wanted = next_type in STREAM_TRANSITIONS[role][after]
            again = request_in(role, state)
            again.feed([wire.record(record_type, 7), wire.record(next_type, 7)])
            assert (again.events[-1][0] != "error") is wanted, (record_type, next_type)


def test_every_transition_leads_into_the_table():
    for states in STREAM_TRANSITIONS.values():
        for allowed in states.values():
            assert set(allowed.values()) <= set(states)
