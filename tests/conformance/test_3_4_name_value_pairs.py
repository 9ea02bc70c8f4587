"""§3.4 Name-value pairs, in PARAMS as they reach environ."""

from __future__ import annotations

import json

import pytest
import webserver_side as wire
from webserver_side import TransportConnection

PARAMS = wire.cgi_params(path="/show")


@pytest.mark.parametrize("length", [0, 1, 127, 128, 255, 256, 65535, 100_000])
def test_names_and_values_have_any_length(connection: TransportConnection, length: int):
    name, value = "N" * max(length, 1), "v" * length
    connection.send(wire.request(1, {**PARAMS, name: value, "X_AFTER": "it"}))
    environ = json.loads(connection.response(1).body)
    assert environ[name] == value
    assert environ["X_AFTER"] == "it"


def test_short_lengths_may_be_four_bytes_long(connection: TransportConnection):
    connection.send(
        wire.begin_request(1), wire.params(1, {**PARAMS, "X_A": "b"}, four=True), wire.stdin(1, b"")
    )
    assert json.loads(connection.response(1).body)["X_A"] == "b"


@pytest.mark.parametrize("chunk", [1, 2, 3, 7, 100])
def test_pairs_may_be_split_anywhere_between_records(connection: TransportConnection, chunk: int):
    values = {**PARAMS, "X_LONG": "v" * 300, "X_LAST": ""}
    connection.send(
        wire.begin_request(1),
        wire.params(1, values, chunk=chunk, padding=chunk % 5),
        wire.stdin(1, b""),
    )
    environ = json.loads(connection.response(1).body)
    assert environ["X_LONG"] == "v" * 300
    assert environ["X_LAST"] == ""


def test_octets_become_characters_of_latin_1(connection: TransportConnection):
    value = bytes(range(1, 256))
    connection.send(wire.request(1, [*PARAMS.items(), ("X_OCTETS", value)]))
    assert json.loads(connection.response(1).body)["X_OCTETS"] == value.decode("latin-1")


@pytest.mark.parametrize(
    "end",
    [b"\x05", b"\x05\x85", b"\x80\0\0", b"\x05\x01ABC", b"\x01\xff\xff\xff\xffA"],
)
def test_pairs_beyond_the_end_of_params_end_the_request_alone(
    connection: TransportConnection, end: bytes
):
    block = wire.pairs(PARAMS) + end
    connection.send(
        wire.begin_request(1, keep_conn=True),
        wire.stream(wire.PARAMS, 1, block),
        wire.stdin(1, b"late"),
    )
    response = connection.response(1)
    assert (response.status, response.protocol_status) == (400, wire.REQUEST_COMPLETE)
    assert b"400" in response.body
    connection.send(wire.request(1, PARAMS))
    assert connection.response(1).status == 200
