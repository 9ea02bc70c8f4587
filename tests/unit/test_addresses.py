"""gfcgi.addresses: what a person writes, and the reason where it cannot be used."""

from __future__ import annotations

import os

import pytest

from gfcgi.addresses import (
    InheritedSocket,
    Networks,
    TCPAddress,
    UnixAddress,
    in_brackets,
    is_loopback,
    parse_address,
    parse_ip,
    parse_network,
)


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("unix:/run/app.sock", UnixAddress("/run/app.sock")),
        ("unix:/run/a:b.sock", UnixAddress("/run/a:b.sock")),
        ("unix:@app", UnixAddress("@app")),
        ("127.0.0.1:9000", TCPAddress("127.0.0.1", 9000)),
        ("[::1]:9000", TCPAddress("::1", 9000)),
        ("localhost:0", TCPAddress("localhost", 0)),
        ("fd:0", InheritedSocket(0)),
        ("fd:12", InheritedSocket(12)),
    ],
)
def test_an_address_is_read_and_written_back_the_same(text, address):
    assert parse_address(text) == address
    assert str(address) == text


def test_a_relative_unix_path_is_taken_from_where_the_process_starts(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert parse_address("unix:app.sock") == UnixAddress(os.path.join(tmp_path, "app.sock"))


def test_an_abstract_socket_has_no_file():
    assert parse_address("unix:@app").sockaddr == "\0app"
    assert parse_address("unix:/run/app.sock").sockaddr == "/run/app.sock"


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "write unix:PATH"),
        ("app", "write unix:PATH"),
        ("9000", "write unix:PATH"),
        ("/run/app.sock", "write unix:/run/app.sock"),
        ("tcp://127.0.0.1:9000", "write unix:PATH, HOST:PORT"),
        ("unix:", "write a path"),
        ("unix:@", "write a path"),
        ("unix:/run/\0", "NUL"),
        ("unix:/" + "x" * 107, "longer than the 107 bytes"),
        ("fd:", "number"),
        ("fd:-1", "number"),
        ("fd:2147483648", "number"),
        ("fd:\u0663", "number"),
        ("localhost:http", "write HOST:PORT"),
        ("127.0.0.1:65536", "write HOST:PORT"),
        ("127.0.0.1:", "write HOST:PORT"),
        ("::1:9000", r"in brackets: \[::1\]:9000"),
        (":9000", "which address"),
        ("[]:9000", "which address"),
        ("local host:9000", "which address"),
    ],
)
def test_what_is_no_address_is_refused_with_the_reason(text, reason):
    with pytest.raises(ValueError, match=reason):
        parse_address(text)


def test_the_longest_unix_path_that_fits_is_accepted():
    assert parse_address("unix:/" + "x" * 106)


def test_networks_and_addresses_are_read():
    assert str(parse_network("10.0.0.0/8")) == "10.0.0.0/8"
    assert str(parse_network("192.0.2.7")) == "192.0.2.7/32"
    assert str(parse_network("::1")) == "::1/128"
    with pytest.raises(ValueError, match="host bits"):
        parse_network("10.0.0.1/8")


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("10.0.0.7", "10.0.0.7"),
        ("::ffff:10.0.0.7", "10.0.0.7"),
        ("::FFFF:10.0.0.7", "10.0.0.7"),
        ("0:0:0:0:0:ffff:a00:7", "10.0.0.7"),
        ("::ffff:10.0.0.7%eth0", "10.0.0.7"),
        ("2001:DB8::1", "2001:db8::1"),
        ("fe80::1%eth0", "fe80::1%eth0"),
        ("::10.0.0.7", "::a00:7"),
    ],
)
def test_an_ipv4_address_within_an_ipv6_one_is_the_ipv4_address(text, address):
    assert str(parse_ip(text)) == address


@pytest.mark.parametrize(
    "text", ["", "unix:", "localhost", "10.0.0.7:80", "[::1]", "10.0.0.07", "10.0.0.7%eth0", "1"]
)
def test_what_is_no_literal_address_is_refused(text):
    with pytest.raises(ValueError, match="IPv4 or IPv6"):
        parse_ip(text)
    assert text not in Networks(["0.0.0.0/0", "::/0"])


@pytest.mark.parametrize(
    ("text", "network"),
    [
        ("::ffff:10.0.0.7", "10.0.0.7/32"),
        ("::FFFF:10.0.0.0/104", "10.0.0.0/8"),
        ("::ffff:0:0/96", "0.0.0.0/0"),
        ("::/0", "::/0"),
        ("::/96", "::/96"),
        ("2001:db8::/104", "2001:db8::/104"),
    ],
)
def test_a_network_of_ipv4_addresses_within_ipv6_ones_is_the_ipv4_network(text, network):
    assert str(parse_network(text)) == network


@pytest.mark.parametrize("listed", ["10.0.0.7", "::ffff:10.0.0.7", "10.0.0.0/8"])
@pytest.mark.parametrize("host", ["10.0.0.7", "::ffff:10.0.0.7", "::FFFF:a00:7"])
def test_every_form_of_an_address_is_in_a_network_that_lists_any_form_of_it(listed, host):
    networks = Networks(["2001:db8::1", listed])
    assert host in networks
    assert "::ffff:11.0.0.7" not in networks
    assert "2001:DB8::1" in networks


def test_networks_are_shown_as_they_are_understood():
    assert str(Networks(["10.0.0.7", "::ffff:11.0.0.0/104"])) == "10.0.0.7/32, 11.0.0.0/8"


@pytest.mark.parametrize(
    ("host", "shown"),
    [("::1", "[::1]"), ("[::1]", "[::1]"), ("127.0.0.1", "127.0.0.1"), ("a.b", "a.b")],
)
def test_an_ipv6_address_gets_brackets_once(host, shown):
    assert in_brackets(host) == shown


@pytest.mark.parametrize(
    ("host", "loopback"),
    [
        ("127.0.0.1", True),
        ("127.8.9.1", True),
        ("::1", True),
        ("::ffff:127.0.0.1", True),
        ("::ffff:192.0.2.1", False),
        ("0.0.0.0", False),
        ("::", False),
        ("192.0.2.1", False),
        ("fe80::1%eth0", False),
    ],
)
def test_loopback_is_told_from_what_other_machines_reach(host, loopback):
    assert is_loopback(host) is loopback
