"""Who is slow makes the other side wait, and nothing piles up in between."""

from __future__ import annotations

import hashlib
import socket
import time

import webserver_side as wire
from running import RunningServer
from webserver_side import DEADLINE_SECONDS, TransportConnection


def settled(measure) -> int:
    """The value of ``measure()`` once it has not changed for half a second."""
    until = time.monotonic() + DEADLINE_SECONDS
    value, since = measure(), time.monotonic()
    while time.monotonic() - since < 0.5:
        assert time.monotonic() < until, f"does not come to rest: {value}"
        time.sleep(0.02)
        if (now := measure()) != value:
            value, since = now, time.monotonic()
    return value


def test_a_web_server_that_does_not_read_stops_the_application(server: RunningServer):
    before = server.state()["resident_bytes"]
    count, size = 2000, 65536
    with server.connect() as connection:
        query = f"key=stopped&count={count}&size={size}"
        connection.send(wire.request(1, wire.cgi_params(path="/chunks", query=query)))
        taken = settled(lambda: server.noted("stopped") or 0)
        assert taken * size < 4_000_000
        assert server.state()["resident_bytes"] - before < 8_000_000
        received = 0
        while (record := connection.read_record()).type == wire.STDOUT:
            received += len(record.content)
    assert count * size < received < count * size + 1000
    server.wait_noted("stopped", f"closed after {count}")
    assert server.state()["resident_bytes"] - before < 8_000_000


def test_a_web_server_that_does_not_read_stops_nobody_else(server: RunningServer):
    with server.connect() as connection:
        query = "key=only-this&count=1000&size=65536"
        connection.send(wire.request(1, wire.cgi_params(path="/chunks", query=query)))
        settled(lambda: server.noted("only-this") or 0)
        for _ in range(10):
            assert server.get().body == b"hello world"


def send_what_fits(connection: TransportConnection, content: memoryview) -> int:
    """Send until the kernel has taken no more for a while; return how many bytes it took."""
    sent = 0

    def push() -> int:
        nonlocal sent
        try:
            while sent < len(content):
                sent += connection.socket.send(content[sent:])
        except BlockingIOError:
            pass
        return sent

    connection.socket.setblocking(False)
    settled(push)
    connection.socket.settimeout(DEADLINE_SECONDS)
    return sent


def test_an_application_that_does_not_read_stops_the_web_server(server: RunningServer):
    before = server.state()["resident_bytes"]
    body = bytes(range(256)) * 80_000
    with server.connect() as connection:
        connection.socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 65536)
        values = wire.cgi_params("POST", "/part", "key=not-read&bytes=10", body)
        connection.send(wire.begin_request(1, keep_conn=True), wire.params(1, values))
        content = memoryview(wire.stdin(1, body))
        sent = send_what_fits(connection, content)
        assert sent < 1_000_000
        assert server.state()["resident_bytes"] - before < 4_000_000
        server.release("not-read")
        connection.send(bytes(content[sent:]))
        assert connection.response(1).body == f"10 {len(body) - 10}".encode()


def test_on_a_multiplexed_connection_the_disk_has_a_bound_too():
    body = bytes(range(256)) * 40_000
    with RunningServer(max_spool_bytes=1_000_000) as server, server.connect() as connection:
        connection.send(wire.get_values("FCGI_MPXS_CONNS"))
        assert connection.values()
        values = wire.cgi_params("POST", "/part", "key=spooled&bytes=10", body)
        connection.send(wire.begin_request(1, keep_conn=True), wire.params(1, values))
        content = memoryview(wire.stdin(1, body))
        sent = send_what_fits(connection, content)
        assert 1_000_000 < sent < 3_000_000
        server.release("spooled")
        connection.send(bytes(content[sent:]))
        assert connection.response(1).body == f"10 {len(body) - 10}".encode()
        connection.send(wire.request(1, wire.cgi_params()))
        assert connection.response(1).body == b"hello world"


def test_a_long_body_passes_through_in_little_memory(server: RunningServer):
    before = server.state()["resident_bytes"]
    piece = bytes(range(256)) * 4096
    expected = hashlib.sha256()
    with server.connect() as connection:
        values = wire.cgi_params("POST", "/digest", "key=long")
        values["CONTENT_LENGTH"] = str(100 * len(piece))
        connection.send(wire.begin_request(1), wire.params(1, values))
        for _ in range(100):
            connection.send(wire.stdin(1, piece, end=False))
            expected.update(piece)
        assert server.state()["resident_bytes"] - before < 4_000_000
        connection.send(wire.record(wire.STDIN, 1))
        assert connection.response(1).body.decode().split()[1] == expected.hexdigest()
