"""gfcgi.wsgi.input: a file over a stream that arrives in pieces, compared with io.BytesIO."""

from __future__ import annotations

import io

import pytest
from hypothesis import given
from hypothesis import strategies as st
from wsgi_side import Pieces

from gfcgi.errors import RequestAborted
from gfcgi.wsgi.input import Input

TEXT = b"first\nsecond line\n\n\nlast without an end"

SIZES = st.one_of(st.none(), st.integers(-1, 40))
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("read"), SIZES),
        st.tuples(st.just("readline"), SIZES),
        st.tuples(st.just("readlines"), SIZES),
        st.tuples(st.just("next"), st.none()),
    ),
    max_size=12,
)
PIECES = st.lists(
    st.lists(st.sampled_from([b"\n", b"a", b"bc", b"\r\n", b"\0\xff"]), max_size=8).map(b"".join)
)


def do(file, method, size):
    if method == "next":
        return next(iter(file), None)
    return getattr(file, method)(size)


@given(pieces=PIECES, steps=STEPS, known=st.booleans())
def test_every_sequence_of_reads_gives_what_bytesio_gives(pieces, steps, known):
    whole = b"".join(pieces)
    stream = Input(Pieces(pieces), len(whole) if known else None)
    model = io.BytesIO(whole)
    for method, size in steps:
        assert do(stream, method, size) == do(model, method, size)
    assert stream.read() == model.read()
    assert stream.read() == stream.readline() == b""
    assert stream.readlines() == list(stream) == []


@pytest.mark.parametrize("cut", range(len(TEXT) + 1))
def test_lines_are_the_same_wherever_the_bytes_are_cut(cut):
    pieces = [TEXT[:cut], TEXT[cut:]]
    assert list(Input(Pieces(pieces), None)) == list(io.BytesIO(TEXT))
    assert Input(Pieces(pieces), len(TEXT)).readlines() == io.BytesIO(TEXT).readlines()
    limited, model = Input(Pieces(pieces), None), io.BytesIO(TEXT)
    for _ in range(15):
        assert limited.readline(4) == model.readline(4)


def test_lines_of_single_bytes_are_the_same():
    pieces = [bytes([octet]) for octet in TEXT]
    assert list(Input(Pieces(pieces), None)) == list(io.BytesIO(TEXT))


def test_a_size_of_zero_takes_nothing():
    stream = Input(Pieces([TEXT]), None)
    assert stream.readline(0) == stream.read(0) == b""
    assert stream.readline() == b"first\n"
    assert stream.readline(0) == stream.read(0) == b""
    assert stream.read() == TEXT[6:]


class Three:
    """Such as numpy's integers: no int, and as good as one."""

    def __index__(self):
        return 3


@pytest.mark.parametrize("method", ["read", "read1", "readline"])
@pytest.mark.parametrize("size", [Three(), True, 10**15, -(10**15)])
def test_whatever_counts_as_an_integer_is_a_size(method, size):
    taken = getattr(io.BytesIO(TEXT), method)(size)
    assert getattr(Input(Pieces([TEXT]), None), method)(size) == taken


@pytest.mark.parametrize("method", ["read", "read1", "readline", "readlines"])
@pytest.mark.parametrize("size", [2.0, "2", b"2", [2], object()])
def test_what_is_no_integer_is_no_size(method, size):
    stream = Input(Pieces([TEXT]), None)
    with pytest.raises(TypeError, match="cannot be interpreted as an integer"):
        getattr(stream, method)(size)
    assert stream.read() == TEXT


def test_a_line_longer_than_any_piece_is_put_together():
    line = b"x" * 300_000 + b"\n"
    pieces = [line[at : at + 70_000] for at in range(0, len(line), 70_000)]
    assert list(Input(Pieces([*pieces, b"next"]), None)) == [line, b"next"]


@pytest.mark.parametrize("length", range(len(TEXT)))
def test_nothing_beyond_the_length_is_ever_given(length):
    for size in (None, -1, 5):
        stream = Input(Pieces([TEXT, TEXT]), length)
        got = b"".join(iter(lambda: stream.read(size), b""))  # noqa: B023
        assert got == TEXT[:length]
    assert b"".join(Input(Pieces([TEXT, TEXT]), length)) == TEXT[:length]
    assert Input(Pieces([TEXT]), length).read(10_000) == TEXT[:length]


def test_a_length_of_zero_asks_the_stream_for_nothing():
    stream = Input(Pieces(broken=True), 0)
    assert stream.read() == stream.read(5) == stream.readline() == stream.read1() == b""
    assert stream.readlines() == []


@pytest.mark.parametrize(
    "read",
    [
        lambda stream: stream.read(),
        lambda stream: stream.read(100),
        lambda stream: stream.readline(),
        lambda stream: stream.readlines(),
        list,
        lambda stream: [stream.read1() for _ in range(3)],
    ],
    ids=["read", "read(n)", "readline", "readlines", "iteration", "read1"],
)
def test_an_end_before_the_length_is_an_error_and_stays_one(read):
    stream = Input(Pieces([b"only", b" this"]), 100)
    for _ in range(2):
        with pytest.raises(RequestAborted, match="before CONTENT_LENGTH"):
            read(stream)


def test_what_was_there_before_the_end_can_be_read_before_the_error():
    stream = Input(Pieces([b"line\nrest"]), 100)
    assert stream.readline() == b"line\n"
    assert stream.read(4) == b"rest"
    with pytest.raises(RequestAborted, match="91 bytes before CONTENT_LENGTH"):
        stream.read(1)


def test_a_stream_that_breaks_off_raises_what_it_raises():
    stream = Input(Pieces([b"part"], broken=True), None)
    with pytest.raises(RequestAborted, match="broke off"):
        stream.read()


def test_read1_gives_what_is_there_without_waiting_for_more():
    stream = Input(Pieces([b"abcdef", b"gh\nij"]), None)
    assert stream.read1(4) == b"abcd"
    assert stream.read1() == b"ef"
    assert stream.readline() == b"gh\n"
    assert stream.read1(1) == b"i"
    assert stream.read1() == b"j"
    assert stream.read1(0) == stream.read1() == b""


def test_a_read_of_a_size_waits_for_no_more_than_that():
    asked = []

    class Counting(Pieces):
        def read(self, most):
            asked.append(most)
            return super().read(most)

    stream = Input(Counting([b"ab", b"cd", b"ef"]), None)
    assert stream.read(3) == b"abc"
    assert asked == [3, 1]
