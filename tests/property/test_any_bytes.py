"""Whatever arrives, however it is cut: the same events, and no error but RemoteProtocolError."""

from __future__ import annotations

import pytest
from fuzz.protocol import SMALL_BOUNDS, application_events, webserver_events
from hypothesis import given
from hypothesis import strategies as st
from replay import Transcript, byte_by_byte, replay, whole
from replay.examples import examples
from replay.strategies import cut, cut_places, wire_bytes

from gfcgi.errors import Fatal, RemoteProtocolError
from gfcgi.protocol import ApplicationConnection


@given(wire_bytes, cut_places, st.booleans())
@examples(1000)
def test_the_application_gives_the_same_events_however_the_bytes_are_cut(
    content, places, answering
):
    expected = replay(whole(content), answering=answering)
    assert replay(cut(content, places), answering=answering) == expected
    assert replay(byte_by_byte(content), answering=answering) == expected


@given(wire_bytes, cut_places)
@examples(500)
def test_small_bounds_make_no_difference_to_that(content, places):
    expected = application_events(whole(content), **SMALL_BOUNDS)
    assert application_events(cut(content, places), **SMALL_BOUNDS) == expected
    assert application_events(byte_by_byte(content), **SMALL_BOUNDS) == expected


@given(wire_bytes, cut_places)
@examples(500)
def test_the_web_server_gives_the_same_events_however_the_bytes_are_cut(content, places):
    expected = webserver_events(whole(content))
    assert webserver_events(cut(content, places)) == expected
    assert webserver_events(byte_by_byte(content)) == expected


@given(wire_bytes)
@examples(500)
def test_every_error_says_what_dies_and_by_which_section(content):
    core = ApplicationConnection(**SMALL_BOUNDS)
    transcript = Transcript(core).feed([content]).eof()
    for event in transcript.events:
        if event[0] == "error":
            _, dies, request_id, section, *_ = event
            assert (dies == Fatal.REQUEST.value) is bool(request_id)
            assert section
    if transcript.broken:
        for _ in range(2):
            with pytest.raises(RemoteProtocolError) as caught:
                core.next_event()
            assert caught.value.fatal is Fatal.TRANSPORT_CONNECTION


@given(wire_bytes)
@examples(500)
def test_a_request_dies_once_and_is_deaf_until_it_is_ended(content):
    transcript = Transcript(ApplicationConnection(**SMALL_BOUNDS)).feed([content])
    dead = set()
    for event in transcript.events:
        if event[0] == "AbortRequest" or event[:2] == ("error", "request"):
            request_id = event[1] if event[0] == "AbortRequest" else event[2]
            assert request_id not in dead
            dead.add(request_id)
        elif event[0] in ("BeginRequest", "Stdin", "Data"):
            assert event[1] not in dead
