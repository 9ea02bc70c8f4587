"""gfcgi.wsgi.files: which files the kernel may send, and what the others give."""

from __future__ import annotations

import bz2
import contextlib
import functools
import gzip
import io
import lzma
import os
import tempfile

import pytest

from gfcgi import limits
from gfcgi.wsgi.files import FileWrapper, giving_way

CONTENT = bytes(range(256)) * 10


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "file"
    path.write_bytes(CONTENT)
    return path


class OnlyRead:
    """The least that PEP 3333 asks of a file."""

    def __init__(self, content):
        self._file = io.BytesIO(content)

    def read(self, size):
        return self._file.read(size)


# -- an iterable


def test_it_gives_blocks_of_its_size():
    assert list(FileWrapper(io.BytesIO(b"abcdefgh"), 3)) == [b"abc", b"def", b"gh"]
    assert list(FileWrapper(io.BytesIO(b""))) == []
    assert b"".join(FileWrapper(OnlyRead(CONTENT), 100)) == CONTENT


def test_close_closes_the_file_where_it_can_be_closed():
    file = io.BytesIO(b"")
    FileWrapper(file).close()
    assert file.closed
    assert not hasattr(FileWrapper(OnlyRead(b"")), "close")


# -- a region for the kernel


@pytest.mark.parametrize("buffering", [-1, 0, 100], ids=["buffered", "unbuffered", "small buffer"])
@pytest.mark.parametrize("mode", ["rb", "r+b"])
def test_a_regular_file_is_a_region(path, mode, buffering):
    with path.open(mode, buffering) as file:
        assert FileWrapper(file).region() == (file.fileno(), 0, len(CONTENT))


def test_a_region_begins_where_the_file_was_read_to_and_not_where_the_buffer_is(path):
    with path.open("rb") as file:
        file.read(5)
        assert os.lseek(file.fileno(), 0, os.SEEK_CUR) > 5
        assert FileWrapper(file).region() == (file.fileno(), 5, len(CONTENT) - 5)


def test_where_a_files_size_leaves_nothing_only_reading_shows_what_there_is(path):
    with path.open("rb") as file:
        file.seek(10_000_000)
        assert FileWrapper(file).region() is None
    with open("/proc/self/status", "rb") as file:
        assert FileWrapper(file).region() is None
        assert b"".join(FileWrapper(file)).startswith(b"Name:")


def test_temporary_files_are_regions():
    for open_ in (tempfile.TemporaryFile, tempfile.NamedTemporaryFile):
        with open_() as file:
            file.write(CONTENT)
            file.seek(7)
            assert FileWrapper(file).region() == (file.fileno(), 7, len(CONTENT) - 7)


def test_an_object_that_hands_its_read_on_to_a_file_is_a_region(path):
    class Field:
        """As Django's File does."""

        def __init__(self, file):
            self.file = file

        read = property(lambda self: self.file.read)

    with path.open("rb") as file:
        assert FileWrapper(Field(file)).region() == (file.fileno(), 0, len(CONTENT))


@pytest.mark.parametrize("open_", [gzip.open, bz2.open, lzma.open])
def test_a_file_that_unpacks_what_it_reads_is_none(tmp_path, open_):
    with open_(tmp_path / "packed", "wb") as file:
        file.write(CONTENT)
    with open_(tmp_path / "packed") as file:
        file.fileno()
        assert FileWrapper(file).region() is None
        buffered = io.BufferedReader(file)
        assert FileWrapper(buffered).region() is None
        buffered.detach()
        assert b"".join(FileWrapper(file)) == CONTENT


def test_a_text_file_is_none(path):
    with path.open("r", encoding="latin-1") as file:
        assert FileWrapper(file).region() is None


def test_an_object_that_changes_what_it_reads_is_none(path):
    class Upper:
        def __init__(self, file):
            self._file = file
            self.fileno = file.fileno
            self.tell = file.tell

        def read(self, size):
            return self._file.read(size).upper()

    with path.open("rb") as file:
        assert FileWrapper(Upper(file)).region() is None


@pytest.mark.parametrize("filelike", [io.BytesIO(b"x"), OnlyRead(b"x"), object()])
def test_what_has_no_descriptor_is_none(filelike):
    assert FileWrapper(filelike).region() is None


def test_a_pipe_is_none():
    reading, writing = os.pipe()
    os.close(writing)
    with os.fdopen(reading, "rb") as file:
        assert FileWrapper(file).region() is None


def test_a_closed_file_is_none(path):
    with path.open("rb") as file:
        pass
    assert FileWrapper(file).region() is None


# -- what changes what it reads


class Upper(io.BufferedReader):
    def read(self, size=-1):
        return super().read(size).upper()


class UpperRaw(io.FileIO):
    def read(self, size=-1):
        return super().read(size).upper()

    def readinto(self, buffer):
        count = super().readinto(buffer)
        buffer[:count] = bytes(buffer[:count]).upper()
        return count


class Wrapped:
    """Its read() says that it wraps the file's, and gives something else."""

    def __init__(self, file):
        @functools.wraps(file.read)
        def read(size=-1):
            return file.read(size).upper()

        self.read = read
        self.fileno = file.fileno
        self.tell = file.tell
        self.close = file.close


class Instead:
    """Its read is another method of a plain file."""

    def __init__(self, file):
        self.read = file.readline
        self.close = file.close


OTHERS = {
    "subclass of BufferedReader": lambda path: Upper(io.FileIO(path)),
    "subclass of FileIO": UpperRaw,
    "subclass of FileIO in a buffer": lambda path: io.BufferedReader(UpperRaw(path)),
    "functools.wraps": lambda path: Wrapped(path.open("rb")),
    "readline for read": lambda path: Instead(path.open("rb")),
}


@pytest.mark.parametrize("kind", OTHERS)
@pytest.mark.parametrize("size", [20_000, 100_000])
def test_what_read_gives_is_what_is_sent_whatever_the_size(tmp_path, kind, size):
    path = tmp_path / "file"
    path.write_bytes(b"text\n" * (size // 5))
    wrapper = FileWrapper(OTHERS[kind](path))
    assert wrapper.region() is None
    expected = b"text\n" if kind == "readline for read" else b"TEXT\n"
    with contextlib.closing(wrapper):
        assert b"".join(wrapper) == expected * (size // 5)


def test_a_subclass_that_reads_in_its_own_way_is_iterated(path):
    class Doubling(FileWrapper):
        def __next__(self):
            return super().__next__() * 2

    class Plain(FileWrapper):
        pass

    with path.open("rb") as file:
        assert Doubling(file).region() is None
        assert Plain(file).region() == FileWrapper(file).region() != None  # noqa: E711


# -- as a file


def test_it_can_be_moved_in_and_asked_where_it_is(path):
    with path.open("rb") as file:
        wrapper = FileWrapper(file, 16)
        assert wrapper.seekable()
        assert next(iter(wrapper)) == CONTENT[:16]
        assert wrapper.tell() == 16
        assert iter(wrapper) is wrapper
        assert wrapper.seek(-5, os.SEEK_END) == len(CONTENT) - 5
        assert list(wrapper) == [CONTENT[-5:]]


def test_what_cannot_be_moved_in_says_so():
    reading, writing = os.pipe()
    os.close(writing)
    with os.fdopen(reading, "rb") as pipe:
        assert not FileWrapper(pipe).seekable()
    assert not FileWrapper(OnlyRead(b"")).seekable()


@pytest.mark.parametrize("size", [0, -1, 1 << 40])
def test_no_block_is_larger_than_the_bound_whatever_the_application_asks(size):
    asked = []

    class Asked:
        def read(self, size):
            asked.append(size)
            return b""

    assert list(FileWrapper(Asked(), size)) == []
    assert asked == [limits.MAX_FILE_BLOCK_BYTES]


def test_others_are_given_a_turn_before_each_block():
    turns = []
    wrapper = giving_way(lambda: turns.append(True))(io.BytesIO(b"abcdef"), 2)
    assert list(wrapper) == [b"ab", b"cd", b"ef"]
    assert len(turns) == 4
