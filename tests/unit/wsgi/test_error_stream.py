"""gfcgi.wsgi.error_stream: lines for the error log, sent as they are finished."""

from __future__ import annotations

import io
import logging

import pytest
from wsgi_side import Request

from gfcgi.wsgi.error_stream import ErrorStream


@pytest.fixture
def request_():
    return Request()


@pytest.fixture
def errors(request_):
    return ErrorStream(request_)


def sent(request_) -> list[bytes]:
    return [data for kind, data in request_.calls if kind == "stderr"]


def test_a_line_is_sent_when_it_ends_and_not_before(errors, request_):
    assert errors.write("a line") == 6
    assert sent(request_) == []
    errors.write(" goes on\nand the next")
    assert sent(request_) == [b"a line goes on\n"]
    errors.write("\n")
    assert sent(request_) == [b"a line goes on\n", b"and the next\n"]


def test_several_lines_written_at_once_leave_at_once(errors, request_):
    errors.write("one\ntwo\nthree\nfour")
    assert sent(request_) == [b"one\ntwo\nthree\n"]


def test_flush_sends_what_has_no_end_yet_once(errors, request_):
    errors.write("unfinished")
    errors.flush()
    errors.flush()
    assert sent(request_) == [b"unfinished"]
    errors.write(" business\n")
    assert sent(request_)[1:] == [b" business\n"]


def test_print_and_writelines_work(errors, request_):
    print("printed", 1, file=errors)
    errors.writelines(["a\n", "b\n"])
    assert b"".join(sent(request_)) == b"printed 1\na\nb\n"


def test_nothing_is_sent_for_nothing(errors, request_):
    assert errors.write("") == 0
    errors.writelines([])
    errors.flush()
    assert request_.calls == []


@pytest.mark.parametrize(
    ("text", "octets"),
    [("€ und ü\n", "€ und ü\n".encode()), ("\ud800x\n", b"\\ud800x\n"), ("\0\n", b"\0\n")],
)
def test_text_is_utf_8_and_what_cannot_be_is_escaped(errors, request_, text, octets):
    assert errors.write(text) == len(text)
    assert sent(request_) == [octets]


@pytest.mark.parametrize("wrong", [b"bytes\n", None, 5])
def test_anything_but_str_is_a_type_error(errors, request_, wrong):
    with pytest.raises(TypeError, match=type(wrong).__name__):
        errors.write(wrong)
    assert request_.calls == []


def test_what_the_web_server_cannot_take_any_more_goes_to_the_log(errors, request_, caplog):
    request_.abort()
    errors.write("the reason why\n")
    (record,) = caplog.records
    assert record.levelname == "WARNING"
    assert record.getMessage().endswith("the reason why")


def test_lines_that_a_web_server_would_cut_are_broken(errors, request_):
    errors.line_characters = 4
    errors.write("1234\n12345\n\n123456789")
    errors.flush()
    assert b"".join(sent(request_)) == b"1234\n1234\n5\n\n1234\n5678\n9"


# -- what libraries ask of a text stream


def test_it_answers_what_libraries_ask_of_a_text_stream():
    stream = ErrorStream(Request())
    assert stream.isatty() is False
    assert (stream.encoding, stream.errors) == ("utf-8", "backslashreplace")
    assert (stream.writable(), stream.readable(), stream.seekable()) == (True, False, False)
    assert stream.closed is False
    with pytest.raises(io.UnsupportedOperation):
        stream.fileno()


def test_the_standard_library_writes_to_it():
    request = Request()
    stream = ErrorStream(request)
    print("printed", file=stream, flush=True)
    handler = logging.StreamHandler(stream)
    handler.emit(logging.makeLogRecord({"msg": "logged"}))
    assert request.stderr == "printed\nlogged\n"
