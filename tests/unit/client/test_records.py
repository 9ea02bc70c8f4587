"""gfcgi.client.records: records told to people, well formed or not."""

from __future__ import annotations

import pytest
from webserver_side import (
    BEGIN_REQUEST,
    END_REQUEST,
    GET_VALUES,
    PARAMS,
    STDOUT,
    cgi_params,
    record,
    request,
)

from gfcgi.client.records import NotFastCGI, RecordReader, Teller


def test_records_are_cut_whole_however_the_bytes_come():
    content = request(1, cgi_params(), b"body")
    whole = list(RecordReader().receive(content))
    reader = RecordReader()
    single = [one for byte in content for one in reader.receive(bytes([byte]))]
    assert single == whole
    assert reader.rest == 0


def test_params_are_told_when_they_are_complete_without_control_characters():
    teller = Teller(">")
    pair = b"\x01\x02A\x1b["
    assert list(teller.tell(record(PARAMS, 1, pair))) == ["> PARAMS 1: 5 bytes"]
    assert list(teller.tell(record(PARAMS, 1, b""))) == ["> PARAMS 1: end", ">     A=\\x1b["]


@pytest.mark.parametrize(
    ("kind", "content", "line"),
    [
        (BEGIN_REQUEST, b"\0\1\1\0\0\0\0\0", "BEGIN_REQUEST 7: responder, keep the connection"),
        (BEGIN_REQUEST, b"\0\2\0\0\0\0\0\0", "BEGIN_REQUEST 7: authorizer"),
        (BEGIN_REQUEST, b"\0\x09\0\0\0\0\0\0", "BEGIN_REQUEST 7: role 9"),
        (BEGIN_REQUEST, b"\0", "BEGIN_REQUEST 7: 1 bytes"),
        (END_REQUEST, b"\0\0\0\3\2\0\0\0", "END_REQUEST 7: OVERLOADED, application status 3"),
        (END_REQUEST, bytes(4) + b"\x09" + bytes(3),
         "END_REQUEST 7: protocol status 9, application status 0"),
        (STDOUT, b"x" * 70, "STDOUT 7: 70 bytes: " + "x" * 60 + "…"),
        (99, b"?", "type 99 7: 1 bytes"),
    ],
)  # fmt: skip
def test_what_a_record_says(kind, content, line):
    assert list(Teller("<").tell(record(kind, 7, content))) == [f"< {line}"]


def test_values_are_told_as_pairs_and_what_is_none_is_said():
    assert list(Teller("<").tell(record(GET_VALUES, 0, b"\x01\x00A")))[1] == "<     A="
    assert "stops within" in list(Teller("<").tell(record(GET_VALUES, 0, b"\x01")))[1]


def test_where_the_bytes_stop_being_fastcgi_it_is_said_once():
    teller = Teller("<")
    (line,) = teller.tell(b"HTTP/1.1 200 OK\r\n")
    assert "not FastCGI" in line
    assert "\r" not in line
    assert not list(teller.tell(b"more"))
    assert not list(teller.end())
    with pytest.raises(NotFastCGI):
        list(RecordReader().receive(b"HTTP/1.1"))


def test_a_record_that_is_cut_off_is_said():
    teller = Teller("<")
    assert not list(teller.tell(b"\x01\x06\0"))
    assert list(teller.end()) == ["< 3 bytes of a record that is cut off"]
