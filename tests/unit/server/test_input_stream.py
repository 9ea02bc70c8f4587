"""gfcgi.server.input_stream: STDIN and DATA between the connection and the application."""

from __future__ import annotations

import errno
import os
import tempfile
import tracemalloc

import gevent
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gfcgi.errors import RequestAborted
from gfcgi.options import Options
from gfcgi.server.input_stream import InputStream

PAUSED = set()
"""The streams that want the reading to pause."""


class Owner:
    """Stands in for a connection: takes note of who wants the reading to pause."""

    def __init__(self, *, multiplexed=False, **options):
        self.options = Options(**options)
        self.multiplexed = multiplexed

    def pause_for(self, stream):
        PAUSED.add(stream)

    def resume_from(self, stream):
        PAUSED.discard(stream)

    def stream_waits(self, stream, since):
        pass


def spooled(stream) -> bool:
    return stream.file_bytes > 0


@pytest.fixture
def alone():
    """A stream on a connection of its own, with room for 10 bytes."""
    stream = InputStream(Owner(stdin_buffer_bytes=10))
    yield stream
    stream.fail("the test is over")


@pytest.fixture
def shared():
    """A stream on a multiplexed connection: 10 bytes in memory, 20 on disk."""
    stream = InputStream(
        Owner(
            multiplexed=True,
            stdin_buffer_bytes=5,
            multiplexed_buffer_bytes=10,
            max_spool_bytes=20,
        )
    )
    yield stream
    stream.fail("the test is over")


def paused(stream) -> bool:
    return stream in PAUSED


def read_all(stream, most=65536) -> bytes:
    return b"".join(iter(lambda: stream.read(most), b""))


def bring(stream, data) -> None:
    """Feed what somebody waits for."""
    stream.feed(data)
    gevent.get_hub().loop.run_callback(stream.wake)


# -- reading


def test_bytes_come_as_they_were_fed_and_never_more_than_asked_for(alone):
    alone.feed(b"abcde")
    alone.feed(b"fg")
    alone.feed(b"")
    assert [alone.read(2) for _ in range(5)] == [b"ab", b"cd", b"e", b"fg", b""]
    assert alone.read(2) == b""


def test_a_read_waits_for_bytes_and_says_since_when(alone, until):
    reading = gevent.spawn(alone.read, 10)
    until(lambda: alone.waiting_since)
    bring(alone, b"late")
    assert reading.get() == b"late"
    assert alone.waiting_since == 0.0


def test_a_read_waits_for_the_end(alone, until):
    reading = gevent.spawn(alone.read, 10)
    until(lambda: alone.waiting_since)
    bring(alone, b"")
    assert reading.get() == b""


def test_a_read_that_was_given_up_takes_nothing(alone, until):
    reading = gevent.spawn(alone.read, 10)
    until(lambda: alone.waiting_since)
    reading.kill()
    bring(alone, b"kept")
    gevent.sleep(0)
    assert alone.read(10) == b"kept"


def test_two_greenlets_cannot_wait_for_one_stream(alone, until):
    reading = gevent.spawn(alone.read, 10)
    until(lambda: alone.waiting_since)
    with pytest.raises(RuntimeError, match="another greenlet"):
        alone.read(10)
    bring(alone, b"for the first")
    assert reading.get() == b"for the fir"[:10]


def test_a_failed_stream_raises_its_reason_from_every_read_and_drops_what_it_held(alone):
    alone.feed(b"held")
    alone.fail("nobody there")
    alone.feed(b"more")
    for _ in range(2):
        with pytest.raises(RequestAborted, match="nobody there"):
            alone.read(1)


def test_a_waiting_read_ends_when_the_stream_fails(alone, until):
    def fail_when_waited_for():
        until(lambda: alone.waiting_since)
        alone.fail("gone")

    gevent.spawn(fail_when_waited_for)
    with pytest.raises(RequestAborted, match="gone"):
        alone.read(1)


# -- on a connection of its own: the socket waits


def test_reading_from_the_socket_pauses_at_the_bound_and_resumes_below_it(alone):
    alone.feed(b"123456789")
    assert not paused(alone)
    alone.feed(b"0ab")
    assert paused(alone)
    alone.read(3)
    assert not paused(alone)
    assert not spooled(alone)


def test_a_stream_stays_paused_while_it_is_full(alone):
    alone.feed(b"1234567890abcdef")
    alone.read(5)
    assert paused(alone)
    alone.read(2)
    assert not paused(alone)


def test_a_stream_that_fails_lets_the_others_read_on(alone):
    alone.feed(b"x" * 10)
    assert paused(alone)
    alone.fail("over")
    assert not paused(alone)


@pytest.mark.parametrize("size", [1, 2, 3, 100, 511, 512, 5000])
def test_what_is_kept_takes_at_most_twice_its_number_of_bytes(size):
    stream = InputStream(Owner())
    number = 200_000 // size
    tracemalloc.start()
    try:
        for count in range(number):
            stream.feed(count.to_bytes(4, "big") * (size // 4) + b"x" * (size % 4))
        stream.wake()
        kept, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert stream.memory_bytes == number * size
    assert kept < 2 * number * size
    stream.feed(b"")
    assert len(read_all(stream)) == number * size


def test_a_small_part_of_a_large_buffer_does_not_keep_the_buffer():
    stream = InputStream(Owner())
    tracemalloc.start()
    try:
        for _ in range(20):
            stream.feed(memoryview(bytes(64_000))[5000:10_000])
            stream.wake()
        kept, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert kept < 2 * stream.memory_bytes
    stream.fail("the test is over")


def test_small_pieces_that_are_read_while_they_come_are_let_go_of():
    """However the reader keeps pace, no piece grows without end."""
    stream = InputStream(Owner(stdin_buffer_bytes=1_000_000))
    for _ in range(100):
        stream.feed(b"ahead")
    tracemalloc.start()
    try:
        for _ in range(100_000):
            stream.feed(b"abc")
            missing = 3
            while missing:
                missing -= len(stream.read(missing))
        kept, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert kept < 64_000
    stream.fail("the test is over")


# -- on a multiplexed connection: the surplus goes to disk


def test_the_surplus_goes_to_disk_and_the_connection_reads_on(shared):
    shared.feed(b"0123456789")
    assert not spooled(shared)
    shared.feed(b"abc")
    assert spooled(shared)
    assert not paused(shared)
    shared.feed(b"")
    assert read_all(shared, 4) == b"0123456789abc"
    assert not spooled(shared)


def test_bytes_stay_in_order_through_memory_disk_and_memory_again(shared):
    shared.feed(b"0123456789")
    shared.feed(b"abc")
    assert shared.read(10) == b"0123456789"
    shared.feed(b"def")
    assert shared.read(4) == b"abcd"
    shared.feed(b"ghi")
    assert shared.read(100) == b"efghi"
    assert not spooled(shared)
    shared.feed(b"jkl")
    assert not spooled(shared)
    shared.feed(b"")
    assert read_all(shared) == b"jkl"


def test_a_full_disk_file_pauses_the_connection_until_it_was_read_and_is_gone(shared):
    shared.feed(b"m" * 10)
    shared.feed(b"d" * 15)
    assert not paused(shared)
    shared.feed(b"d" * 10)
    assert paused(shared)
    for _ in range(34):
        shared.read(1)
        assert paused(shared)
    shared.read(1)
    assert not paused(shared)
    assert not spooled(shared)


def test_what_lies_on_disk_is_bounded_however_little_each_read_takes(shared):
    # Whoever sends: as much as the connection lets through, a piece at a time.
    taken = largest = 0
    while taken < 2000:
        while not paused(shared):
            shared.feed(b"p" * 7)
        largest = max(largest, shared.file_bytes)
        taken += len(shared.read(1))
    assert largest <= 20 + 7


def test_the_disk_file_is_bounded_where_it_is_read_nearly_as_fast_as_it_grows(shared):
    shared.feed(b"m" * 10)
    for _ in range(200):
        if not paused(shared):
            shared.feed(b"ppp")
        shared.read(2)
        if spooled(shared):
            assert shared.file_bytes <= 20 + 3


def test_without_a_disk_file_allowed_the_connection_pauses_beyond_memory():
    stream = InputStream(Owner(multiplexed=True, multiplexed_buffer_bytes=10, max_spool_bytes=0))
    stream.feed(b"0123456789")
    assert not paused(stream)
    stream.feed(b"a")
    assert paused(stream)
    stream.fail("the test is over")


def test_the_disk_file_is_gone_when_the_stream_fails(shared, monkeypatch):
    make = tempfile.TemporaryFile
    made = []
    monkeypatch.setattr(
        tempfile, "TemporaryFile", lambda *args, **kw: made.append(make(*args, **kw)) or made[-1]
    )
    shared.feed(b"m" * 10)
    shared.feed(b"d" * 5)
    (file,) = made
    assert not file.closed
    shared.fail("over")
    assert file.closed
    assert not spooled(shared)


def test_a_full_disk_ends_the_body_and_says_so(shared, caplog, monkeypatch):
    def no_space(**options):
        raise OSError(errno.ENOSPC, "No space left on device", "/srv/private/gfcgi-x")

    monkeypatch.setattr(tempfile, "TemporaryFile", no_space)
    shared.feed(b"m" * 10)
    shared.feed(b"d")
    shared.feed(b"d")
    with pytest.raises(RequestAborted, match="No space left") as raised:
        shared.read(1)
    assert "private" not in str(raised.value)  # the client's page has it
    assert [record.levelname for record in caplog.records] == ["ERROR"]
    assert "No space left on device: '/srv/private/gfcgi-x'" in caplog.text
    assert not paused(shared)


@pytest.mark.parametrize("size", [1, 100, 8192, 100_000])
def test_a_disk_that_is_full_fails_the_read_and_nothing_else(full_disk, shared, caplog, size):
    shared.feed(b"m" * 10)
    for _ in range(3):
        shared.feed(b"d" * size)
    shared.feed(b"")
    with pytest.raises(RequestAborted, match="No space left") as raised:
        shared.read(1)
    assert raised.value.http_status == "507 Insufficient Storage"
    shared.fail("over")
    assert [record.levelname for record in caplog.records] == ["ERROR"]
    assert not paused(shared)


def test_a_disk_that_takes_only_a_part_at_a_time_gets_the_rest(shared, monkeypatch):
    write = os.pwrite
    monkeypatch.setattr(os, "pwrite", lambda fd, data, at: write(fd, bytes(data[:3]), at))
    shared.feed(b"m" * 10)
    shared.feed(b"0123456")
    shared.feed(b"")
    assert read_all(shared) == b"m" * 10 + b"0123456"


@pytest.mark.parametrize("how", ["an error", "nothing"])
def test_a_disk_that_cannot_be_read_fails_the_read(shared, caplog, monkeypatch, how):
    def broken(*args):
        if how == "nothing":
            return b""
        raise OSError(errno.EIO, "Input/output error")

    shared.feed(b"m" * 10)
    shared.feed(b"d" * 10)
    shared.read(10)
    monkeypatch.setattr(os, "pread", broken)
    with pytest.raises(RequestAborted, match="could not be read from disk") as raised:
        shared.read(1)
    assert raised.value.http_status == "500 Internal Server Error"
    assert "could not be read" in caplog.text


def test_the_disk_file_has_no_name_to_find_it_by(shared, monkeypatch, tmp_path):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    shared.feed(b"m" * 10)
    shared.feed(b"secret")
    assert spooled(shared)
    assert list(tmp_path.iterdir()) == []


@given(
    steps=st.lists(st.one_of(st.binary(min_size=1, max_size=30), st.integers(1, 30))),
    multiplexed=st.booleans(),
)
def test_whatever_the_order_of_feeds_and_reads_the_bytes_are_the_same(steps, multiplexed):
    stream = InputStream(
        Owner(
            multiplexed=multiplexed,
            stdin_buffer_bytes=8,
            multiplexed_buffer_bytes=16,
            max_spool_bytes=16,
        )
    )
    fed, got = bytearray(), bytearray()
    for step in steps:
        if isinstance(step, bytes):
            stream.feed(step)
            fed += step
        elif len(got) < len(fed):
            piece = stream.read(step)
            assert 0 < len(piece) <= step
            got += piece
    stream.feed(b"")
    got += read_all(stream)
    assert got == fed
    assert not paused(stream)
    assert not spooled(stream)
