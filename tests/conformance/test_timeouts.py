"""Every wait of the server has an end, and nothing that goes on is cut by one.

The timeouts are short here; nothing is measured but that an end comes at all.
"""

from __future__ import annotations

import time

import pytest
import webserver_side as wire
from running import RunningServer, wait_until

SHORT = 0.3
ALL = ("params", "idle", "stdin", "stdout")


def impatient(*names: str) -> RunningServer:
    """A server with these timeouts short, and all others as they are."""
    return RunningServer(**{f"{name}_timeout_seconds": SHORT for name in names})


@pytest.mark.parametrize(
    "content",
    [
        b"\x01",
        wire.begin_request(1),
        wire.begin_request(1) + wire.params(1, wire.cgi_params(), end=False),
        wire.begin_request(1) + wire.params(1, wire.cgi_params())[:20],
        wire.get_values("FCGI_MAX_CONNS")[:-1],
    ],
    ids=["a byte", "BEGIN_REQUEST", "PARAMS without end", "half of PARAMS", "half of GET_VALUES"],
)
def test_params_that_do_not_come_close_the_connection(content: bytes):
    with impatient("params") as server, server.connect() as connection:
        connection.send(content)
        connection.wait_closed()


def test_params_that_come_slowly_have_the_same_time_in_all():
    with impatient("params") as server, server.connect() as connection:
        content = wire.begin_request(1) + wire.params(1, {"A": "b" * 60_000}, chunk=1)
        with pytest.raises(ConnectionError):  # noqa: PT012 (which of the sends is cut is open)
            for at in range(0, len(content), 100):
                connection.send(content[at : at + 100])
                time.sleep(SHORT / 100)
    assert "PARAMS" in server.log_at_end


def test_a_connection_without_a_request_is_closed():
    with impatient("idle") as server, server.connect() as connection:
        connection.wait_closed()


def test_a_kept_connection_without_a_request_is_closed():
    with impatient("idle") as server, server.connect() as connection:
        connection.send(wire.request(1, wire.cgi_params(), keep_conn=True))
        assert connection.response(1).body == b"hello world"
        connection.wait_closed()


def test_a_kept_connection_is_closed_soon_after_a_request_that_was_allowed_to_take_longer():
    """The end of the wait for its body is due much later, and does not put the idle one off."""
    with impatient("idle") as server, server.connect() as connection:
        values = wire.cgi_params("POST", "/digest", "key=waited", b"b")
        connection.send(wire.begin_request(1, keep_conn=True), wire.params(1, values))
        server.wait_noted("waited", "reading")
        time.sleep(2 * SHORT)
        connection.send(wire.stdin(1, b"b"))
        assert connection.response(1).status == 200
        connection.wait_closed()


def test_a_body_that_does_not_come_ends_the_request_with_a_page():
    with impatient("stdin") as server, server.connect() as connection:
        values = wire.cgi_params("POST", "/digest", "key=stalled", b"b" * 100)
        connection.send(wire.begin_request(1, keep_conn=True), wire.params(1, values))
        connection.send(wire.stdin(1, b"b", end=False))
        response = connection.response(1)
        assert response.status in (400, 408)
        assert server.noted("stalled") == "aborted"
        connection.send(wire.stdin(1, b"late"), wire.request(1, wire.cgi_params()))
        assert connection.response(1).body == b"hello world"


def test_a_web_server_that_does_not_read_is_given_up():
    with impatient("stdout") as server, server.connect() as connection:
        query = "key=given-up&count=1000&size=65536"
        connection.send(wire.request(1, wire.cgi_params(path="/chunks", query=query)))
        wait_until(
            lambda: str(server.noted("given-up")).startswith("closed after"),
            "the response to be given up",
        )


def test_a_request_may_take_longer_than_any_timeout():
    with impatient(*ALL) as server, server.connect() as connection:
        values = wire.cgi_params(path="/wait", query="key=patience")
        connection.send(wire.request(1, values, keep_conn=True))
        server.wait_noted("patience", "waiting")
        assert not connection.readable(4 * SHORT)
        server.release("patience")
        assert connection.response(1).body == b"waited patience"


def test_an_application_may_take_its_time_before_it_reads():
    body = b"b" * 3_000_000
    with impatient(*ALL) as server, server.connect() as connection:
        values = wire.cgi_params("POST", "/part", "key=later&bytes=10", body)
        head = wire.begin_request(1) + wire.params(1, values)
        connection.send(head, wire.stdin(1, body[:10], end=False))
        server.wait_noted("later", "waiting")
        assert not connection.readable(4 * SHORT)
        server.release("later")
        connection.send(wire.stdin(1, body[10:]))
        assert connection.response(1).body == b"10 2999990"


def test_what_timed_out_is_logged_once_with_its_peer():
    with impatient("params") as server:
        with server.connect() as connection:
            connection.send(wire.begin_request(1))
            connection.wait_closed()
        assert server.get().body == b"hello world"
        lines = server.warnings
        assert len(lines) == 1
        assert "UNIX socket, pid" in lines[0]
        assert "PARAMS" in lines[0]
