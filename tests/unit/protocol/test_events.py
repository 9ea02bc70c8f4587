"""The events of both cores are the same plain objects."""

from __future__ import annotations

from gfcgi.protocol import (
    NEED_DATA,
    BeginRequest,
    Data,
    EndRequest,
    ProtocolStatus,
    Stderr,
    Stdin,
    Stdout,
)


def test_streams_of_the_same_content_are_told_apart_by_their_class():
    assert Stdin(1, b"x") == Stdin(1, b"x")
    assert Stdin(1, b"x") != Data(1, b"x")
    assert Stdout(1, b"x") != Stderr(1, b"x")


def test_events_have_no_room_for_anything_else():
    for event in (Stdin(1, b""), BeginRequest(1, 1, False, {}), EndRequest(1)):
        assert not hasattr(event, "__dict__")


def test_a_request_ends_well_unless_something_else_is_said():
    end = EndRequest(1)
    assert (end.app_status, end.protocol_status) == (0, ProtocolStatus.REQUEST_COMPLETE)


def test_need_data_is_no_event_and_prints_its_name():
    assert repr(NEED_DATA) == "<NeedData.NEED_DATA: 'NEED_DATA'>"
    assert NEED_DATA not in (None, False)
