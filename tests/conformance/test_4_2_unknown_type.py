"""§4.2 UNKNOWN_TYPE, for management records that are not understood."""

from __future__ import annotations

import pytest
import webserver_side as wire
from webserver_side import TransportConnection


@pytest.mark.parametrize("record_type", [0, wire.GET_VALUES_RESULT, 12, 42, 255])
def test_an_unknown_management_record_is_answered_and_the_connection_kept(
    connection: TransportConnection, record_type: int
):
    connection.send(wire.record(record_type, 0, b"whatever", padding=4))
    answer = connection.read_record()
    assert (answer.type, answer.request_id) == (wire.UNKNOWN_TYPE, 0)
    assert answer.content == bytes([record_type]) + bytes(7)
    connection.send(wire.request(1, wire.cgi_params()))
    assert connection.response(1).body == b"hello world"


def test_unknown_type_itself_is_not_answered(connection: TransportConnection):
    connection.send(wire.record(wire.UNKNOWN_TYPE, 0, b"\x2a" + bytes(7)))
    connection.send(wire.request(1, wire.cgi_params()))
    assert connection.response(1).body == b"hello world"
    assert connection.management == []
