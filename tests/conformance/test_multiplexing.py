"""§3.3: requests that share a transport connection, in both directions."""

from __future__ import annotations

import hashlib
import itertools

import webserver_side as wire
from running import RunningServer
from webserver_side import TransportConnection


def test_responses_interleave_as_whole_records(connection: TransportConnection):
    letters = "abcdefghij"
    for request_id, letter in enumerate(letters, 1):
        # Each chunk takes four records; the application makes way after each.
        query = f"count=10&size=200000&letter={letter}&yield=1"
        values = wire.cgi_params(path="/chunks", query=query)
        connection.send(wire.request(request_id, values, keep_conn=True))
    order = []
    while len(order) < len(letters) * 42:
        order.append(connection.read_any().request_id)
        if all(connection.partial(number).ended for number in range(1, len(letters) + 1)):
            break
    for request_id, letter in enumerate(letters, 1):
        assert connection.response(request_id).body == letter.encode() * 2_000_000
    turns = sum(before != after for before, after in itertools.pairwise(order))
    assert turns > 2 * len(letters), "one response after the other"


def test_bodies_interleave(connection: TransportConnection):
    bodies = {number: bytes([number]) * 200_000 for number in range(1, 21)}
    for request_id, body in bodies.items():
        values = wire.cgi_params("POST", "/digest", body=body)
        connection.send(
            wire.begin_request(request_id, keep_conn=True), wire.params(request_id, values)
        )
    for start in range(0, 200_000, 10_000):
        for request_id, body in bodies.items():
            connection.send(wire.stdin(request_id, body[start : start + 10_000], end=False))
    for request_id, body in bodies.items():
        connection.send(wire.record(wire.STDIN, request_id))
        expected = f"200000 {hashlib.sha256(body).hexdigest()}"
        assert connection.response(request_id).body.decode() == expected


def test_hundreds_of_requests_share_a_connection(
    server: RunningServer, connection: TransportConnection
):
    ids = range(1, 65536, 131)
    values = wire.cgi_params(path="/wait", query="key=hundreds")
    for request_id in ids:
        connection.send(wire.request(request_id, values, keep_conn=True))
    server.wait_noted("hundreds", "waiting")
    server.release("hundreds")
    for request_id in ids:
        assert connection.response(request_id).body == b"waited hundreds"
    assert len(ids) == 501


def test_a_body_that_nobody_reads_does_not_hold_up_the_others(
    server: RunningServer, connection: TransportConnection
):
    before = server.state()["resident_bytes"]
    body = bytes(range(256)) * 80_000
    values = wire.cgi_params("POST", "/part", "key=unread&bytes=100", body)
    connection.send(wire.get_values("FCGI_MPXS_CONNS"))
    assert connection.values()
    connection.send(wire.begin_request(1, keep_conn=True), wire.params(1, values))
    connection.send(wire.stdin(1, body))
    connection.send(wire.request(2, wire.cgi_params(), keep_conn=True))
    assert connection.response(2).body == b"hello world"
    # 20 MB are here and wanted by nobody yet: on disk, not in memory.
    assert server.state()["resident_bytes"] - before < 8_000_000
    server.release("unread")
    assert connection.response(1).body == f"100 {len(body) - 100}".encode()


def test_one_that_fails_leaves_the_others_alone(
    server: RunningServer, connection: TransportConnection
):
    values = wire.cgi_params(path="/wait", query="key=unharmed")
    connection.send(wire.request(1, values, keep_conn=True))
    connection.send(wire.request(2, wire.cgi_params(path="/fail"), keep_conn=True))
    assert connection.response(2).status == 500
    connection.send(wire.begin_request(3, keep_conn=True), wire.record(wire.STDOUT, 3, b"?"))
    assert connection.response(3).status == 400
    server.release("unharmed")
    assert connection.response(1).body == b"waited unharmed"
