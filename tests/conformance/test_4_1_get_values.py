"""§4.1 GET_VALUES and GET_VALUES_RESULT."""

from __future__ import annotations

import pytest
import webserver_side as wire
from running import RunningServer
from webserver_side import TransportConnection

NAMES = ("FCGI_MAX_CONNS", "FCGI_MAX_REQS", "FCGI_MPXS_CONNS")


def test_the_three_names_of_the_specification_are_answered(connection: TransportConnection):
    connection.send(wire.get_values(*NAMES))
    values = connection.values()
    assert set(values) == set(NAMES)
    assert values["FCGI_MPXS_CONNS"] == "1"
    assert int(values["FCGI_MAX_CONNS"]) > 0
    assert int(values["FCGI_MAX_REQS"]) > 0


@pytest.mark.parametrize("name", NAMES)
def test_only_what_was_asked_for_is_answered(connection: TransportConnection, name: str):
    connection.send(wire.get_values(name))
    assert set(connection.values()) == {name}


def test_names_that_are_not_known_are_left_out(connection: TransportConnection):
    connection.send(wire.get_values("GFCGI_SECRET", "FCGI_MPXS_CONNS", "", "fcgi_max_conns"))
    assert connection.values() == {"FCGI_MPXS_CONNS": "1"}
    connection.send(wire.get_values("UNKNOWN"))
    assert connection.values() == {}


def test_values_can_be_asked_for_at_any_time(connection: TransportConnection):
    block = wire.pairs(wire.cgi_params())
    connection.send(
        wire.begin_request(1, keep_conn=True),
        wire.get_values("FCGI_MPXS_CONNS"),
        wire.record(wire.PARAMS, 1, block),
        wire.get_values("FCGI_MPXS_CONNS"),
        wire.record(wire.PARAMS, 1),
        wire.stdin(1, b""),
        wire.get_values("FCGI_MPXS_CONNS"),
    )
    for _ in range(3):
        assert connection.values() == {"FCGI_MPXS_CONNS": "1"}
    assert connection.response(1).body == b"hello world"


def test_the_answer_says_what_the_options_say():
    options = {"max_connections": 7, "max_concurrent_requests_per_connection": 1}
    with RunningServer(**options) as server, server.connect() as connection:
        connection.send(wire.get_values(*NAMES))
        values = connection.values()
        assert values["FCGI_MAX_CONNS"] == "7"
        assert values["FCGI_MPXS_CONNS"] == "0"


def test_pairs_beyond_the_end_end_the_transport_connection(connection: TransportConnection):
    connection.send(wire.record(wire.GET_VALUES, 0, b"\x0e\0FCGI"))
    connection.wait_closed()
