"""gfcgi.client.redaction: what is secret goes, and everything else stays, length for length."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from webserver_side import DATA, PARAMS, STDERR, STDIN, STDOUT, parse_records, record, request

from gfcgi.client.redaction import Redactor


def redacted(content, size=None):
    redactor = Redactor()
    step = size or len(content) or 1
    return b"".join(redactor.redact(content[i : i + step]) for i in range(0, len(content), step))


def params_of(content):
    from webserver_side import parse_pairs

    block = b"".join(one.content for one in parse_records(content)[0] if one.type == PARAMS)
    return dict(parse_pairs(block))


@pytest.mark.parametrize(
    ("name", "value", "left"),
    [
        ("HTTP_COOKIE", "id=secret", "xxxxxxxxx"),
        ("HTTP_AUTHORIZATION", "Basic c2VjcmV0", "x" * 14),
        ("Authorization", "Basic c2VjcmV0", "x" * 14),
        ("REDIRECT_HTTP_AUTHORIZATION", "secret", "xxxxxx"),
        ("REMOTE_USER", "ada", "xxx"),
        ("REMOTE_PASSWD", "ada", "xxx"),
        ("HTTP_X_API_KEY", "secret", "xxxxxx"),
        ("HTTP_X_CSRF_TOKEN", "secret", "xxxxxx"),
        ("QUERY_STRING", "a=1", "xxx"),
        ("REQUEST_URI", "/a?b=1", "/a?xxx"),
        ("HTTP_REFERER", "http://h/?token=1?2", "http://h/?xxxxxxxxx"),
        ("AUTH_TYPE", "Basic", "Basic"),
        ("HTTP_HOST", "example.org", "example.org"),
        ("SECRET_BUT_EMPTY", "", ""),
        ("SSL_CLIENT_CERT_KEY", "s" * 300, "x" * 300),
    ],
)
@pytest.mark.parametrize("size", [1, 3, None])
def test_params_keep_what_is_no_secret(name, value, left, size):
    content = request(1, {"A": "1", name: value, "B": "2"})
    out = redacted(content, size)
    assert len(out) == len(content)
    assert params_of(out) == {b"A": b"1", name.encode(): left.encode(), b"B": b"2"}


@pytest.mark.parametrize("kind", [STDIN, DATA, STDERR])
def test_bodies_and_error_output_go_whole(kind):
    assert redacted(record(kind, 1, b"secret")) == record(kind, 1, b"xxxxxx")


@pytest.mark.parametrize("size", [1, 7, None])
@pytest.mark.parametrize("end", [b"\r\n", b"\n"])
def test_of_a_response_the_head_stays_but_for_its_secrets(size, end):
    lines = [b"Set-Cookie: id=secret", b"Location: /a?token=b", b"X-A: b:c", b"Status: 200 OK"]
    left = [b"Set-Cookie:" + b"x" * 10, b"Location: /a?" + b"x" * 7, b"X-A: b:c", b"Status: 200 OK"]
    out = redacted(record(STDOUT, 1, end.join([*lines, b"", b"secret\n\nbody"])), size)
    assert out == record(STDOUT, 1, end.join([*left, b"", b"x" * 12]))


def test_two_responses_on_one_connection_each_have_a_head():
    from webserver_side import END_REQUEST

    one = record(STDOUT, 1, b"A: b\n\nsecret") + record(END_REQUEST, 1, bytes(8))
    assert redacted(one + one).count(b"A: b\n\nxxxxxx") == 2


def test_responses_that_are_multiplexed_are_told_apart():
    mixed = record(STDOUT, 1, b"A: b") + record(STDOUT, 2, b"C: d\n\nsecret")
    mixed += record(STDOUT, 1, b"\n\nsecret")
    assert b"secret" not in redacted(mixed)
    assert b"A: b" in redacted(mixed)


def test_padding_and_what_is_no_fastcgi_can_hold_nothing():
    padded = b"\x01\x05\x00\x01\x00\x02\x06\x00" + b"ab" + b"secret"
    assert redacted(padded) == b"\x01\x05\x00\x01\x00\x02\x06\x00" + b"xx" + bytes(6)
    assert b"secret" not in redacted(b"GET /secret HTTP/1.1\r\n\r\n")[8:]


@given(st.binary(max_size=300), st.integers(1, 50))
def test_any_bytes_keep_their_length_however_they_are_cut(content, size):
    out = redacted(content, size)
    assert len(out) == len(content)
    assert out == redacted(content)
