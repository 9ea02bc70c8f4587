"""The names that the HTTP front answers to, and DNS rebinding, which uses another."""

from __future__ import annotations

import socket

import pytest
from application_side import hello

from gfcgi.client.http_head import BadRequest
from gfcgi.client.http_hosts import Hosts


def status(host, *, bound="127.0.0.1", allowed=(), local="127.0.0.1"):
    try:
        Hosts(bound, allowed).check(host, local)
    except BadRequest as error:
        return error.status[:3]
    return "200"


@pytest.mark.parametrize(
    "host",
    [
        "",
        "localhost",
        "LocalHost:8000",
        "localhost.",
        "app.localhost:8000",
        "127.0.0.1",
        "127.0.0.1:",
        "127.9.9.9:8000",
        "[::1]:8000",
        "[::ffff:127.0.0.1]",
        socket.gethostname(),
        socket.gethostname().upper() + ":8000",
    ],
)
def test_this_machine_is_answered_for(host):
    assert status(host) == "200"


@pytest.mark.parametrize(
    "host",
    [
        "evil.example",
        "evil.example:8000",
        "localhost.evil.example",
        "127.0.0.1.evil.example",
        "evillocalhost",
        "notlocalhost:80",
        "192.0.2.1",
        "[2001:db8::1]:8000",
        "127.1",
        "2130706433",
        "0x7f000001",
        "x.",
    ],
)
def test_another_name_is_not_answered_to(host):
    assert status(host) == "421"


@pytest.mark.parametrize(
    "host",
    [
        "a b",
        "user@localhost",
        "localhost@evil",
        "localhost:80:80",
        "localhost:x",
        "::1",
        "[::1",
        "/",
        "localhost/",
        "localhost,evil",
        "caf\xe9",
        "%6cocalhost",
    ],
)
def test_what_is_no_host_is_refused(host):
    assert status(host) == "400"


def test_the_name_that_was_bound_is_answered_to():
    assert status("web.test:8000", bound="web.test") == "200"
    assert status("Web.Test", bound="web.test") == "200"
    assert status("evil.example", bound="web.test") == "421"
    assert status("192.0.2.1", bound="web.test") == "421"


def test_the_address_at_which_the_client_connected_is_answered_to():
    assert status("192.0.2.1:8000", bound="192.0.2.1", local="192.0.2.1") == "200"
    assert status("[2001:db8::1]", bound="2001:db8::1", local="2001:db8::1") == "200"
    assert status("[fe80::1]", bound="fe80::1", local="fe80::1%eth0") == "200"
    assert status("192.0.2.2", bound="192.0.2.1", local="192.0.2.1") == "421"


@pytest.mark.parametrize("bound", ["0.0.0.0", "::"])
def test_where_all_addresses_are_bound_every_address_is_answered_to_and_no_other_name(bound):
    """Behind a port map the client's address of this machine is another one."""
    assert status("198.51.100.7:8000", bound=bound, local="172.17.0.2") == "200"
    assert status("[2001:db8::1]", bound=bound, local="172.17.0.2") == "200"
    assert status("evil.example", bound=bound, local="172.17.0.2") == "421"


def test_allowed_names_are_answered_to():
    allowed = ["App.Test", ".example.com"]
    assert status("app.test:8000", allowed=allowed) == "200"
    assert status("x.app.test", allowed=allowed) == "421"
    assert status("example.com", allowed=allowed) == "200"
    assert status("a.b.example.com", allowed=allowed) == "200"
    assert status("evilexample.com", allowed=allowed) == "421"
    assert status("anything", allowed=["*"]) == "200"
    assert status("any thing", allowed=["*"]) == "400"


@pytest.mark.parametrize(
    "head",
    [
        b"GET / HTTP/1.1\r\nHost: evil.example\r\n\r\n",
        b"GET / HTTP/1.0\r\nHost: evil.example:8000\r\n\r\n",
        b"GET http://evil.example/ HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: evil.example\r\nContent-Length: 3\r\n\r\nabc",
    ],
)
def test_a_request_with_another_sites_name_does_not_reach_the_application(front_of, head):
    with front_of(hello) as front:
        answer = front.raw(head)
        assert front.application.requests == 0
    assert answer.startswith(b"HTTP/1.1 421 Misdirected Request\r\n")
    assert b"--http-host evil.example" in answer
    assert b"\r\nConnection: close\r\n" in answer


@pytest.mark.parametrize(
    "head",
    [
        b"GET / HTTP/1.0\r\n\r\n",
        b"GET / HTTP/1.0\r\nHost: localhost:8000\r\n\r\n",
        b"GET http://localhost/ HTTP/1.0\r\nHost: evil.example\r\n\r\n",
    ],
)
def test_a_request_to_this_machine_reaches_the_application(front_of, head):
    with front_of(hello) as front:
        assert front.raw(head).startswith(b"HTTP/1.1 200 OK\r\n")
