"""gfcgi.process.line_outputs: lines go somewhere, or are counted; nobody waits for them."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import re
import socket

import pytest

from gfcgi import limits
from gfcgi.process.line_outputs import Descriptor, File, Syslog

NO_SPACE = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


class Clock:
    now = 0.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def said(caplog):
    return lambda: [record.getMessage() for record in caplog.records]


@pytest.fixture
def file(tmp_path, clock):
    made = File("the log", str(tmp_path / "log"), clock=clock)
    yield made
    made.close()


def test_a_file_is_appended_to_and_not_for_everybody_to_read(tmp_path, said):
    (tmp_path / "log").write_text("before\n")
    for line in ("one", "two\udcff"):
        output = File("the log", str(tmp_path / "log"))
        output.write(line)
        output.close()
    assert (tmp_path / "log").read_text() == "before\none\ntwo\\udcff\n"
    File("the log", str(tmp_path / "new")).close()
    assert (tmp_path / "new").stat().st_mode & 0o007 == 0
    assert said() == []


def test_a_file_that_was_renamed_is_opened_anew(file, tmp_path, said):
    file.write("one")
    (tmp_path / "log").rename(tmp_path / "old")
    file.write("two")
    file.reopen()
    file.write("three")
    assert (tmp_path / "old").read_text() == "one\ntwo\n"
    assert (tmp_path / "log").read_text() == "three\n"
    (tmp_path / "log").unlink()
    (tmp_path / "log").mkdir()
    file.reopen()  # it cannot be: the one before goes on
    file.write("four")
    assert said() == [f"cannot reopen {tmp_path}/log: Is a directory"]


def test_a_directory_that_is_not_there_is_said_once_and_tried_again(tmp_path, clock, said):
    path = tmp_path / "later" / "log"
    file = File("the log", str(path), clock=clock)
    for _ in range(3):
        file.write("lost")
    assert said() == [f"the log ({path}): No such file or directory; lines are left out"]
    path.parent.mkdir()
    file.write("too early to try again")
    clock.now += limits.OUTPUT_TRIED_SECONDS
    file.write("there")
    file.close()
    assert path.read_text() == "there\n"
    assert said()[1:] == [f"the log ({path}): 4 lines left out"]


def test_a_full_disk_is_said_once_in_a_while_and_costs_lines_alone(
    file, tmp_path, clock, said, monkeypatch
):
    write = os.write

    def full(fd, data):
        if fd != file._fd:
            return write(fd, data)
        if len(data) > 4:
            return write(fd, data[:4])  # the last that found room
        raise NO_SPACE

    file.write("one")
    with monkeypatch.context() as patched:
        patched.setattr(os, "write", full)
        file.write("lost!!")
        clock.now += limits.OUTPUT_SAID_SECONDS / 2
        file.write("lost!")
        clock.now += limits.OUTPUT_SAID_SECONDS / 2
        file.write("los")
    file.write("two")
    text = f"the log ({tmp_path}/log): No space left on device; lines are left out"
    assert said() == [text, text, f"the log ({tmp_path}/log): 3 lines left out"]
    lines = (tmp_path / "log").read_text().split("\n")
    assert lines[0] == "one"
    assert lines[-2:] == ["two", ""]  # whatever was torn before it


def test_the_real_full_disk_is_survived(clock, said):
    file = File("the log", "/dev/full", clock=clock)
    file.write("lost")
    file.close()
    assert said() == [
        "the log (/dev/full): No space left on device; lines are left out",
        "the log (/dev/full): 1 line left out",
    ]


def test_a_named_pipe_is_written_to_as_soon_as_somebody_reads(tmp_path, clock, said):
    os.mkfifo(tmp_path / "pipe")
    file = File("the log", str(tmp_path / "pipe"), clock=clock)
    file.write("lost")
    reading = os.open(tmp_path / "pipe", os.O_RDONLY | os.O_NONBLOCK)
    clock.now += limits.OUTPUT_TRIED_SECONDS
    file.write("read")
    assert os.read(reading, 100) == b"read\n"
    file.close()
    os.close(reading)
    assert [line.partition("): ")[2] for line in said()] == [
        "No such device or address; lines are left out",
        "1 line left out",
    ]


@contextlib.contextmanager
def small_stdout(kind):
    """Standard output is small; gives what reads it. In the test alone: pytest has its own."""
    if kind == "socket":
        theirs, ours = socket.socketpair()
        ours.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
        reading, writing = theirs.detach(), ours.detach()
    else:
        reading, writing = os.pipe()
        fcntl.fcntl(writing, 1031, 4096)  # F_SETPIPE_SZ
    before = os.dup(1)
    os.dup2(writing, 1)
    os.close(writing)
    os.set_blocking(reading, False)
    try:
        yield reading
    finally:
        os.dup2(before, 1)
        os.close(before)
        os.close(reading)


def read_all(fd):
    data = b""
    try:
        while piece := os.read(fd, 65536):
            data += piece
    except BlockingIOError:
        pass
    return data


@pytest.mark.parametrize("kind", ["pipe", "socket", "pipe of another user's"])
def test_standard_output_that_nobody_reads_makes_nobody_wait(kind, clock, said, monkeypatch):
    if kind == "pipe of another user's":
        monkeypatch.setattr(Descriptor, "_open_own", lambda self: None)
    with small_stdout(kind) as stdout:
        output = Descriptor("the log", 1, clock=clock)
        assert os.get_blocking(1)
        for number in range(10_000):
            output.write(f"{number:0100d}")
            if said():
                break
        assert said() == ["the log (standard output): nobody reads there; lines are left out"]
        text = read_all(stdout)
        output.write("again")
        output.close()
        text += read_all(stdout)
    lines = text.decode().removesuffix("\n").split("\n")
    assert lines[-1] == "again"
    assert lines[:-1] == [f"{number:0100d}" for number in range(len(lines) - 1)]
    assert said()[1:] == ["the log (standard output): 1 line left out"]


@pytest.mark.parametrize("how", ["closed", "/dev/null"])
def test_a_standard_output_that_leads_nowhere_is_said_once(how, said):
    before = os.dup(1)
    try:
        os.close(1)
        if how != "closed":
            assert os.open(how, os.O_WRONLY) == 1
        output = Descriptor("the log", 1)
        output.write("lost")
        output.write("lost")
        output.close()
    finally:
        os.dup2(before, 1)
        os.close(before)
    assert said() == [
        "the log (standard output): it leads nowhere in this process; lines are left out"
    ]


def syslog_at(path):
    listening = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    listening.bind(str(path))
    listening.settimeout(60)
    return listening


def test_syslog_gets_a_message_a_line(tmp_path, said):
    with syslog_at(tmp_path / "log") as listening:
        output = Syslog("the log", path=str(tmp_path / "log"))
        output.write("one")
        message = listening.recv(1000).decode()
        output.close()
    assert re.fullmatch(
        rf"<30>[A-Z][a-z]{{2}} [ \d]\d [\d:]{{8}} gfcgi\[{os.getpid()}\]: one", message
    )
    assert said() == []


def test_without_syslog_that_is_said_once_and_tried_again(tmp_path, clock, said):
    path = tmp_path / "log"
    output = Syslog("the log", path=str(path), clock=clock)
    output.write("lost")
    output.write("lost")
    clock.now += limits.OUTPUT_TRIED_SECONDS
    with syslog_at(path) as listening:
        output.write("there")
        assert listening.recv(1000).endswith(b": there")
    path.unlink()
    output.write("lost")  # it is started anew …
    clock.now += limits.OUTPUT_TRIED_SECONDS
    with syslog_at(path) as listening:
        output.write("anew")
        assert listening.recv(1000).endswith(b": anew")
        output.close()
    assert said() == [
        f"the log (syslog): {path}: No such file or directory; lines are left out",
        "the log (syslog): 2 lines left out",
        "the log (syslog): 1 line left out",
    ]


def test_a_syslog_that_is_started_anew_at_once_loses_no_line(tmp_path, clock, said):
    path = tmp_path / "log"
    with syslog_at(path):
        output = Syslog("the log", path=str(path), clock=clock)
    path.unlink()
    with syslog_at(path) as listening:
        output.write("anew")
        assert listening.recv(1000).endswith(b": anew")
    output.write("lost")
    output.close()
    assert said() == [
        f"the log (syslog): {path}: Connection refused; lines are left out",
        "the log (syslog): 1 line left out",
    ]


def test_a_line_that_is_too_long_for_syslog_is_lost_alone(tmp_path, clock, said):
    with syslog_at(tmp_path / "log") as listening:
        output = Syslog("the log", path=str(tmp_path / "log"), clock=clock)
        output.write("x" * 16_000_000)
        output.write("short")
        assert listening.recv(1000).endswith(b": short")
        output.close()
    assert said() == [
        "the log (syslog): Message too long; lines are left out",
        "the log (syslog): 1 line left out",
    ]


def test_a_syslog_that_reads_nothing_makes_nobody_wait(tmp_path, clock, said):
    with syslog_at(tmp_path / "log") as listening:
        output = Syslog("the log", path=str(tmp_path / "log"), clock=clock)
        for _ in range(10_000):
            output.write("x" * 1000)
            if said():
                break
        assert listening.recv(2000).endswith(b"x" * 1000)
        output.close()
    assert said()[0] == "the log (syslog): nobody reads there; lines are left out"
