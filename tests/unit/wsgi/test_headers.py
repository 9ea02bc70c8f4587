"""gfcgi.wsgi.headers: what may be sent, what is left out, and what is refused."""

from __future__ import annotations

import collections

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gfcgi.http_fields import HOP_BY_HOP
from gfcgi.wsgi import headers as module
from gfcgi.wsgi.headers import (
    HeaderError,
    check_headers,
    check_status,
    encode_head,
    find_content_length,
    find_header,
)


@pytest.fixture(autouse=True)
def nothing_known_before(monkeypatch):
    monkeypatch.setattr(module, "_known_names", {})


class Text(str):
    """A str that says something else of itself than it is checked for."""

    __slots__ = ()

    def __str__(self):
        return "evil\r\nX-Evil: 1"

    def __format__(self, spec):
        return str(self)

    def isprintable(self):
        return True

    def lower(self):
        return str(self)


# -- the status


@pytest.mark.parametrize("status", ["200 OK", "200 ", "200", "999 Zürich", "404 Not  Found\xa0"])
def test_a_status_is_three_digits_and_a_reason(status):
    check_status(status)


@pytest.mark.parametrize(
    "status",
    [
        "", "20", "2000 OK", "OK", " 200 OK", "200OK", "200\tOK", "two hundred", "-20 OK",
        "٢٠٠ OK", "099 Odd", "200 OK\r\nX: y", "200 OK\n", "200 \0", "200 OK\x7f",
        200, None, b"200 OK", ("200", "OK"),
    ],
)  # fmt: skip
def test_any_other_status_is_refused(status):
    with pytest.raises(HeaderError, match="status"):
        check_status(status)


@pytest.mark.parametrize("status", ["100 Continue", "101 Switching Protocols", "103"])
def test_an_interim_status_is_refused_as_the_web_servers_business(status):
    with pytest.raises(HeaderError, match="Web server sends those itself"):
        check_status(status)


# -- names and values


def test_good_headers_are_kept_in_their_order_with_repetitions():
    headers = [("Set-Cookie", "a=1"), ("Set-Cookie", "b=2"), ("x-Y_z~", "")]
    assert check_headers(headers) == headers


def test_what_is_added_to_the_list_later_is_not_sent():
    headers = [("A", "1")]
    checked = check_headers(headers)
    headers.append(("B", "unchecked\r\n"))
    assert checked == [("A", "1")]


def test_a_pair_that_is_a_list_is_taken_and_changing_it_later_changes_nothing():
    pair = ["A", "1"]
    checked = check_headers([pair])
    pair[1] = "unchecked\r\n"
    assert checked == [("A", "1")]
    assert find_header(checked, "a") == "1"


@pytest.mark.parametrize("headers", [None, {"A": "b"}, iter([]), "A: b", b"A: b", {("A", "b")}])
def test_headers_that_are_no_list_are_refused(headers):
    with pytest.raises(HeaderError, match="must be a list"):
        check_headers(headers)


@pytest.mark.parametrize("kind", [list, tuple, collections.deque])
def test_headers_may_be_any_sequence(kind):
    assert check_headers(kind([("A", "1"), ("B", "2")])) == [("A", "1"), ("B", "2")]
    assert check_headers(kind()) == []


def test_subclasses_of_str_are_taken_for_the_text_that_they_are():
    status = check_status(Text("200 OK"))
    ((name, value),) = check_headers([(Text("A"), Text("b"))])
    assert (status, name, value) == ("200 OK", "A", "b")
    assert {type(status), type(name), type(value)} == {str}
    assert encode_head(status, [(name, value)], None) == b"A: b\r\nStatus: 200 OK\r\n\r\n"


@pytest.mark.parametrize("character", [*map(chr, range(9)), *map(chr, range(10, 32)), "\x7f"])
def test_a_control_character_is_refused_wherever_it_stands(character):
    for pair in ((f"A{character}", "b"), ("A", f"a{character}b"), (Text("A"), Text(character))):
        with pytest.raises(HeaderError):
            check_headers([pair])
    with pytest.raises(HeaderError):
        check_status(f"200 O{character}K")


@pytest.mark.parametrize("value", ["a\tb", "\x80\x9f\xa0\xad", "ü", " ", "\u2028"])
def test_what_is_no_control_character_of_http_is_let_through(value):
    assert check_headers([("A", value)]) == [("A", value)]


@pytest.mark.parametrize("header", ["Ab", "A:"])
def test_a_str_of_two_characters_is_no_pair(header):
    with pytest.raises(HeaderError, match="tuple"):
        check_headers([header])


@pytest.mark.parametrize("header", [None, 5, (), ("A",), ("A", "b", "c"), "A: b"])
def test_a_header_that_is_no_pair_is_refused(header):
    with pytest.raises(HeaderError, match="tuple"):
        check_headers([header])


@pytest.mark.parametrize(
    "header", [(b"A", "b"), ("A", b"b"), ("A", 5), ("A", None), (None, "b"), ("A", ["b"])]
)
def test_a_name_or_value_that_is_no_str_is_refused(header):
    with pytest.raises(HeaderError, match="not str"):
        check_headers([("Good", "1"), header])


@pytest.mark.parametrize(
    "name",
    ["", " ", "A b", "A:", "A\r\nB", "A\n", "A\0", "Ä", "A\t", "(A)", "A/B", "\x7f", "A\r"],
)
def test_a_name_that_is_no_token_is_refused_each_time(name):
    for _ in range(2):
        with pytest.raises(HeaderError, match="no name for a header"):
            check_headers([(name, "value")])


@pytest.mark.parametrize("value", ["a\r\nSet-Cookie: b", "a\n", "\r", "\0", "a\0b", "\n b"])
def test_a_value_that_could_end_its_line_is_refused(value):
    for _ in range(2):
        with pytest.raises(HeaderError, match="CR, LF or NUL"):
            check_headers([("Location", value)])


@given(st.text(max_size=20), st.text(max_size=20))
def test_no_header_ever_makes_two_lines(name, value):
    try:
        block = encode_head("200 OK", check_headers([(name, value)]), None)
    except HeaderError:
        return
    assert block.count(b"\n") in (2, 3)
    assert block.count(b"\r\n") == block.count(b"\n") == block.count(b"\r")
    assert b"\0" not in block


def test_a_status_header_is_refused():
    with pytest.raises(HeaderError, match="first argument"):
        check_headers([("status", "404 Not Found")])


@pytest.mark.parametrize("name", [*sorted(HOP_BY_HOP), "Connection", "TRANSFER-ENCODING"])
def test_hop_by_hop_headers_are_left_out_and_logged_once(name, caplog):
    headers = [("A", "1"), (name, "x"), ("B", "2")]
    assert check_headers(headers) == [("A", "1"), ("B", "2")]
    assert check_headers(headers) == [("A", "1"), ("B", "2")]
    assert [(name, "x")] == headers[1:2]
    (record,) = caplog.records
    assert name in record.getMessage()


def test_a_bad_value_of_a_header_that_is_left_out_is_refused_too():
    with pytest.raises(HeaderError, match="CR, LF or NUL"):
        check_headers([("Connection", "close\r\nX: y")])


def test_the_memory_of_names_is_bounded():
    for number in range(module._NAMES_KEPT + 10):
        check_headers([(f"X-{number}", "")])
    assert len(module._known_names) == module._NAMES_KEPT
    assert find_header([("X-99999", "v")], "x-99999") == "v"


# -- what is found in them


def test_a_header_is_found_by_its_lower_case():
    headers = check_headers([("X-One", "1"), ("Content-TYPE", "text/html"), ("content-type", "2")])
    assert find_header(headers, "content-type") == "text/html"
    assert find_header(headers, "x-two") is None


@pytest.mark.parametrize(
    ("value", "length"), [("0", 0), ("5", 5), ("007", 7), ("9" * 18, 10**18 - 1)]
)
def test_content_length_is_digits(value, length):
    assert find_content_length([("CONTENT-LENGTH", value)]) == length
    assert find_content_length([("X", "1")]) is None


@pytest.mark.parametrize("value", ["", " 5", "5 ", "+5", "-1", "5, 5", "0x5", "٥", "²", "9" * 5000])
def test_any_other_content_length_is_refused(value):
    with pytest.raises(HeaderError, match="Content-Length is"):
        find_content_length([("Content-Length", value)])


@pytest.mark.parametrize("second", ["5", "6"])
def test_a_second_content_length_is_refused(second):
    with pytest.raises(HeaderError, match="twice"):
        find_content_length([("Content-Length", "5"), ("content-length", second)])


# -- the header block


def test_the_header_block_has_the_status_last_and_an_empty_line():
    assert encode_head("200 OK", [("A", "1"), ("B", "ü")], 5) == (
        b"A: 1\r\nB: \xfc\r\nContent-Length: 5\r\nStatus: 200 OK\r\n\r\n"
    )
    assert encode_head("204 No Content", [], None) == b"Status: 204 No Content\r\n\r\n"


def test_the_header_block_of_an_authorizer_has_the_status_first():
    """Where lighttpd has not read of a refusal yet it drops WWW-Authenticate."""
    assert encode_head("401 No", [("WWW-Authenticate", "Basic")], 0, status_first=True) == (
        b"Status: 401 No\r\nWWW-Authenticate: Basic\r\nContent-Length: 0\r\n\r\n"
    )


@pytest.mark.parametrize(
    ("status", "headers"), [("200 OK", [("A", "€")]), ("200 €", []), ("200 OK", [("A", "\ud800")])]
)
def test_what_latin_1_cannot_encode_is_refused_and_says_what(status, headers):
    with pytest.raises(HeaderError, match=r"not latin-1: '(€|\\ud800)'"):
        encode_head(status, headers, None)
