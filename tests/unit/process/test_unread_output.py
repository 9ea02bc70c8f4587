"""gfcgi.process.unread_output: nobody waits for a reader; what is left out is counted and said."""

from __future__ import annotations

import errno
import fcntl
import io
import os
import socket
import threading
import time

import pytest

from gfcgi.process import unread_output
from gfcgi.process.unread_output import _Unread, write_now

LINE = b"x" * 99 + b"\n"


class Unread:
    """The two ends of a pipe or a socket that takes little; ``read`` empties it."""

    def __init__(self, kind):
        if kind == "pipe":
            self.reading, self.writing = os.pipe()
            fcntl.fcntl(self.writing, 1031, 4096)  # F_SETPIPE_SZ
        else:
            theirs, ours = socket.socketpair()
            ours.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
            self.reading, self.writing = theirs.detach(), ours.detach()
        os.set_blocking(self.reading, False)

    def read(self):
        found = b""
        while True:
            try:
                data = os.read(self.reading, 65536)
            except BlockingIOError:
                return found
            if not data:
                return found
            found += data

    def fill(self):
        for piece in (LINE, b"\n"):
            while write_now(self.writing, piece):
                pass

    def close(self):
        for fd in (self.reading, self.writing):
            try:
                os.close(fd)
            except OSError:
                pass


@pytest.fixture(params=["pipe", "socket"])
def unread(request):
    made = Unread(request.param)
    yield made
    made.close()


@pytest.fixture
def impatient(monkeypatch):
    monkeypatch.setattr(unread_output, "PATIENCE_SECONDS", 0.0)


def output(unread):
    return io.TextIOWrapper(io.BufferedWriter(_Unread(unread.writing)), line_buffering=True)


def test_the_applications_default_timeout_leaves_the_descriptor_as_it_is(unread):
    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(30)
    try:
        assert write_now(unread.writing, LINE)
        assert socket.getdefaulttimeout() == 30
    finally:
        socket.setdefaulttimeout(before)
    assert os.get_blocking(unread.writing)


def test_nothing_waits_and_the_descriptor_stays_as_it_is(unread):
    unread.fill()
    assert not write_now(unread.writing, b"more\n")
    assert os.get_blocking(unread.writing)
    assert set(unread.read().split(b"\n")) == {LINE[:-1], b""}
    assert write_now(unread.writing, b"more\n")
    assert unread.read() == b"more\n"


def test_a_file_takes_everything(tmp_path):
    with open(tmp_path / "log", "wb") as file:
        for _ in range(1000):
            assert write_now(file.fileno(), LINE)
    assert (tmp_path / "log").read_bytes() == LINE * 1000


def test_what_is_left_out_is_counted_and_said_when_there_is_room_again(unread, impatient):
    stream = output(unread)
    unread.fill()
    for number in range(300):
        print(f"left out {number}\nin two lines", file=stream)
    assert b"left out" not in unread.read()
    print("after it", file=stream)
    stream.flush()
    assert unread.read().decode() == (
        f"gfcgi[{os.getpid()}]: nobody read here: 600 lines left out\nafter it\n"
    )
    print("and on", file=stream)
    assert unread.read() == b"and on\n"


def test_what_is_said_comes_at_the_start_of_a_line(unread, impatient):
    stream = output(unread)
    stream.write("unfinished, ")
    stream.flush()
    unread.fill()
    stream.write("and its end\n")
    unread.read()
    print("next", file=stream)
    assert unread.read().startswith(b"\ngfcgi[")


def test_a_reader_that_is_only_slow_gets_everything(unread, monkeypatch):
    monkeypatch.setattr(unread_output, "PATIENCE_SECONDS", 60.0)
    stream = output(unread)
    found = []

    def read():
        while b"the end" not in b"".join(found):
            found.append(unread.read())
            time.sleep(0.001)

    reader = threading.Thread(target=read)
    reader.start()
    for number in range(2000):
        print(f"line {number} " + "x" * 50, file=stream)
    print("y" * 20_000 + "the end", file=stream)
    reader.join(60)
    assert not reader.is_alive()
    lines = b"".join(found).decode().splitlines()
    assert [line.split()[1] for line in lines[:2000]] == [str(n) for n in range(2000)]
    assert lines[2000:] == ["y" * 20_000 + "the end"]


def test_a_reader_that_is_gone_for_good_is_waited_for_once(unread):
    stream = output(unread)
    unread.fill()
    began = time.monotonic()
    for _ in range(1000):
        print("nobody reads this", file=stream)
    assert time.monotonic() - began < 20  # 300 s if each of them waited


def test_a_pipe_that_cannot_be_opened_anew_is_asked_for_room(impatient, monkeypatch):
    """As without /proc, without a descriptor left, or after a change of the user."""
    unread = Unread("pipe")

    def none_left(path, flags):
        raise OSError(errno.EMFILE, "Too many open files")

    monkeypatch.setattr(os, "open", none_left)
    assert write_now(unread.writing, b"taken\n")
    assert unread.read() == b"taken\n"
    unread.fill()
    assert not write_now(unread.writing, LINE)
    unread.close()


def test_whoever_is_gone_is_an_error_as_before():
    unread = Unread("pipe")
    os.close(unread.reading)
    with pytest.raises(BrokenPipeError):
        write_now(unread.writing, b"x\n")
    unread.close()
    with pytest.raises(OSError, match="Bad file descriptor"):
        write_now(unread.writing, b"x\n")


def test_it_can_be_asked_as_any_file(unread):
    raw = _Unread(unread.writing)
    assert (raw.fileno(), raw.isatty(), raw.writable(), raw.readable(), raw.mode) == (
        unread.writing,
        False,
        True,
        False,
        "wb",
    )
