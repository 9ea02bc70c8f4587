"""Name-value pairs (§3.4)."""

from __future__ import annotations

import re

import pytest
import webserver_side as wire

from gfcgi.errors import Fatal, LimitExceeded, LocalProtocolError, RemoteProtocolError
from gfcgi.protocol import decode_pairs, decode_params, encode_pairs
from gfcgi.protocol.params import _encode_length

LENGTHS = [0, 1, 127, 128, 129, 255, 256, 65535, 70000]


@pytest.mark.parametrize("value_length", LENGTHS)
@pytest.mark.parametrize("name_length", LENGTHS)
def test_lengths_of_one_and_four_bytes_mix_freely(name_length: int, value_length: int):
    name, value = "n" * name_length, "v" * value_length
    block = wire.pairs({name: value, "after": "it"})
    assert encode_pairs([(name, value), ("after", "it")]) == block
    assert decode_params(block) == ({name: value, "after": "it"}, ())
    assert decode_pairs(block) == ((name, value), ("after", "it"))


def test_a_short_length_may_be_four_bytes_long():
    block = wire.pairs({"A": "b", "": ""}, four=True)
    assert decode_params(block) == ({"A": "b", "": ""}, ())
    assert decode_pairs(block) == (("A", "b"), ("", ""))


def test_an_empty_stream_has_no_params():
    assert decode_params(b"") == ({}, ())
    assert decode_pairs(b"") == ()


def test_every_octet_becomes_one_character():
    octets = bytes(range(256))
    params, _ = decode_params(wire.pairs([(octets, octets)]))
    assert params == {octets.decode("latin-1"): octets.decode("latin-1")}
    assert encode_pairs(params.items()) == wire.pairs([(octets, octets)])


def test_params_keep_their_order_and_repeated_names_theirs():
    block = wire.pairs([("B", "1"), ("A", "2"), ("B", "3"), ("C", "4"), ("B", "1"), ("A", "5")])
    params, repeated = decode_params(block)
    assert list(params.items()) == [("B", "1"), ("A", "2"), ("C", "4")]
    assert repeated == (("B", "3"), ("B", "1"), ("A", "5"))


@pytest.mark.parametrize("decode", [decode_params, decode_pairs])
@pytest.mark.parametrize(
    ("block", "reason"),
    [
        (b"\x05", "stops within its lengths"),
        (b"\x05\x85", "stops within its lengths"),
        (b"\x80", "stops within its lengths"),
        (b"\x80\x00\x00", "stops within its lengths"),
        (b"\x80\x00\x00\x01", "stops within its lengths"),
        (b"\x01\x80\x00\x00", "stops within its lengths"),
        (b"\x01\x01A", "longer than its stream"),
        (b"\x02\x00A", "longer than its stream"),
        (b"\x01\x01Ab\x01\x02Cd", "longer than its stream"),
        (b"\xff\xff\xff\xff\xff\xff\xff\xffA", "longer than its stream"),
        *((bytes([0x80 | 1 << bit, 0, 0, 1, 0]) + b"A", "longer") for bit in range(7)),
    ],
)
def test_pairs_that_overrun_are_the_other_sides_fault(decode, block: bytes, reason: str):
    with pytest.raises(RemoteProtocolError, match=reason) as caught:
        decode(block)
    assert caught.value.section == "3.4"


def test_every_truncation_of_a_block_is_an_error_except_between_pairs():
    block = wire.pairs({"A": "b", "N" * 200: "v" * 200, "C": ""})
    ends = {0, 4, 4 + 8 + 400, len(block)}
    for end in range(len(block) + 1):
        for decode in (decode_params, decode_pairs):
            if end in ends:
                decode(block[:end])
            else:
                with pytest.raises(RemoteProtocolError):
                    decode(block[:end])


def test_as_many_pairs_as_allowed_and_no_more():
    names = [(f"N{number}", "") for number in range(3)]
    assert len(decode_params(wire.pairs(names), max_pairs=3)[0]) == 3
    with pytest.raises(LimitExceeded, match=r"max_params_pairs=2") as caught:
        decode_params(wire.pairs(names), max_pairs=2)
    error = caught.value
    assert (error.limit, error.value, error.section) == ("max_params_pairs", 2, "3.4")
    assert error.fatal is Fatal.REQUEST
    assert error.http_status.startswith("431 ")


def test_repeated_names_count_against_the_bound():
    with pytest.raises(LimitExceeded):
        decode_params(wire.pairs([("A", "b")] * 3), max_pairs=2)


@pytest.mark.parametrize("pair", [("€", ""), ("A", "€")])
def test_what_is_not_latin_1_is_our_own_fault(pair: tuple[str, str]):
    with pytest.raises(LocalProtocolError, match=re.escape(repr(pair[0]))):
        encode_pairs([pair])


def test_a_value_of_2_gib_is_refused_before_its_length_would_turn_out_wrong():
    assert _encode_length((1 << 31) - 1) == b"\xff\xff\xff\xff"
    with pytest.raises(LocalProtocolError, match="2 GiB"):
        _encode_length(1 << 31)


def test_requests_share_what_the_web_server_says_of_itself_and_nothing_that_a_client_says():
    block = wire.pairs(
        {
            "REQUEST_URI": "/private",
            "DOCUMENT_ROOT": "/srv/www",
            "SERVER_NAME": "example.org",
            "HTTP_COOKIE": "secret",
        }
    )
    for _ in range(32):  # it is not learnt every time
        decode_params(block)
    first, _ = decode_params(block)
    second, _ = decode_params(block)
    shared = [name for name in first if any(name is other for other in second)]
    assert shared == list(first)
    same = [name for name in first if first[name] is second[name]]
    assert same == ["DOCUMENT_ROOT", "SERVER_NAME"]


def test_the_names_of_other_clients_are_learnt_too():
    server = {f"SERVER_{number}": "" for number in range(20)}
    for _ in range(32):
        decode_params(wire.pairs({**server, "HTTP_HOST": "probe"}))
    browser = {**server, "HTTP_HOST": "x", **{f"HTTP_{number}": "" for number in range(12)}}
    block = wire.pairs(browser)
    for _ in range(32):
        decode_params(block)
    (first, _), (second, _) = decode_params(block), decode_params(block)
    assert list(map(id, first)) == list(map(id, second))


def test_a_constant_that_changes_is_what_it_is_now():
    host = {"SERVER_NAME": "example.org", "SERVER_PORT": "80"}
    for _ in range(32):
        decode_params(wire.pairs(host))
    for other in ({**host, "SERVER_NAME": "example.com"}, {**host, "SERVER_PORT": "8" * 200}):
        assert decode_params(wire.pairs(other)) == (other, ())
