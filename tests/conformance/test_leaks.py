"""Requests that are broken off leave nothing behind: no greenlet, no descriptor."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator

import pytest
import webserver_side as wire
from running import RunningServer

TIMES = 50
numbers = itertools.count()


def drop_upload(server: RunningServer) -> None:
    with server.connect() as connection:
        key = f"upload-{next(numbers)}"
        values = wire.cgi_params("POST", "/digest", f"key={key}", b"b" * 1_000_000)
        connection.send(wire.begin_request(1, keep_conn=True), wire.params(1, values))
        connection.send(wire.stdin(1, b"b" * 100_000, end=False))
        server.wait_noted(key, "reading")


def drop_upload_that_nobody_reads(server: RunningServer) -> None:
    with server.connect() as connection:
        values = wire.cgi_params("POST", "/until_aborted", "key=unread", b"b" * 1_000_000)
        connection.send(wire.begin_request(1), wire.params(1, values))
        connection.send(wire.stdin(1, b"b" * 100_000, end=False))


def drop_response(server: RunningServer) -> None:
    with server.connect() as connection:
        values = wire.cgi_params(path="/chunks", query="key=response&count=1000&size=65536")
        connection.send(wire.request(1, values))
        connection.read_record()


def drop_before_response(server: RunningServer) -> None:
    with server.connect() as connection:
        values = wire.cgi_params(path="/until_aborted", query="key=before")
        connection.send(wire.request(1, values, keep_conn=True))


def drop_in_params(server: RunningServer) -> None:
    with server.connect() as connection:
        connection.send(wire.begin_request(1), wire.params(1, wire.cgi_params())[:50])


def drop_many_at_once(server: RunningServer) -> None:
    with server.connect() as connection:
        for request_id in range(1, 11):
            values = wire.cgi_params("POST", "/digest", body=b"b" * 1_000_000)
            connection.send(wire.begin_request(request_id, keep_conn=True))
            connection.send(wire.params(request_id, values))
            connection.send(wire.stdin(request_id, b"b" * 50_000, end=False))


def abort(server: RunningServer) -> None:
    with server.connect() as connection:
        values = wire.cgi_params("POST", "/digest", "key=abort", b"b" * 1_000_000)
        connection.send(wire.begin_request(1, keep_conn=True), wire.params(1, values))
        connection.send(wire.stdin(1, b"b" * 1000, end=False), wire.abort_request(1))
        connection.response(1)


def abort_and_go_on(server: RunningServer) -> None:
    with server.connect() as connection:
        for _ in range(5):
            values = wire.cgi_params(path="/until_aborted", query="key=go-on")
            connection.send(wire.request(1, values, keep_conn=True), wire.abort_request(1))
            connection.response(1)


@pytest.fixture(scope="module")
def server() -> Iterator[RunningServer]:
    # The greenlets of past requests go within half of the shortest timeout.
    with RunningServer(idle_timeout_seconds=1) as running:
        # What is made once and for all is made before anything is counted.
        for break_off in BREAKS:
            break_off(running)
        yield running


BREAKS = [
    drop_upload,
    drop_upload_that_nobody_reads,
    drop_response,
    drop_before_response,
    drop_in_params,
    drop_many_at_once,
    abort,
    abort_and_go_on,
]


@pytest.mark.parametrize("break_off", BREAKS, ids=lambda function: function.__name__)
def test_nothing_is_left_of_fifty(server: RunningServer, break_off: Callable):
    before = server.state_at_rest()
    for _ in range(TIMES):
        break_off(server)
    after = server.state_at_rest()
    for name in ("greenlets", "descriptors"):
        assert after[name] == before[name], name
    assert server.get().body == b"hello world"
