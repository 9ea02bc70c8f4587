"""gfcgi.server.connection: an answer before the body was read breaks nobody's send."""

from __future__ import annotations

import socket

import pytest
import webserver_side as wire
from wsgi_side import begin, hello

BODY = b"u" * 4_000_000
"""More than the sockets' buffers hold."""


def test_an_early_answer_leaves_the_send_unbroken_and_a_kept_connection_usable(serving):
    with serving(hello) as site, site.connect() as connection:
        for _ in range(2):
            connection.send(begin(), wire.stdin(1, BODY))
            assert connection.response().body == b"hello"


@pytest.mark.parametrize("family", [socket.AF_UNIX, socket.AF_INET])
def test_an_early_answer_leaves_the_send_unbroken_where_the_connection_closes(serving, family):
    with serving(hello, family=family) as site, site.connect() as connection:
        connection.send(begin(keep_conn=False), wire.stdin(1, BODY))
        assert connection.response().body == b"hello"
        connection.wait_closed()


def test_a_body_that_nobody_wants_is_dropped_up_to_a_bound(serving):
    with serving(hello, max_drain_bytes=100_000) as site, site.connect() as connection:
        connection.send(begin())
        with pytest.raises(ConnectionError):
            connection.send(wire.stdin(1, BODY))
        site.until_idle()


def test_a_closing_connection_too_is_read_up_to_the_bound(serving):
    with serving(hello, max_drain_bytes=100_000) as site, site.connect() as connection:
        connection.send(begin(keep_conn=False))
        with pytest.raises(ConnectionError):
            connection.send(wire.stdin(1, BODY))
        site.until_idle()


def test_each_request_has_the_bound_for_itself(serving):
    with serving(hello, max_drain_bytes=100_000) as site, site.connect() as connection:
        for _ in range(4):
            connection.send(begin(), wire.stdin(1, b"x" * 60_000))
            assert connection.response().body == b"hello"
