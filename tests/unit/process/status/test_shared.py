"""Numbers of several processes, which live and die."""

from __future__ import annotations

import os
import resource
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from gfcgi.process.status import shared
from gfcgi.process.status.shared import SharedNumbers

pytest.importorskip("prometheus_client")

CHILD = """
import os, sys
from gfcgi.process.status.shared import SharedNumbers
numbers = SharedNumbers(sys.argv[1])
numbers.write({"requests_total": float(sys.argv[2]), "running": 1.0})
print(os.getpid(), flush=True)
sys.stdin.read()
"""


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[[int], subprocess.Popen[str]]]:
    """Start a process that has counted so many requests; it ends with its standard input."""
    started: list[subprocess.Popen[str]] = []

    def start(count: int) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [sys.executable, "-c", CHILD, str(tmp_path), str(count)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        started.append(process)
        assert process.stdout is not None
        assert process.stdout.readline().strip() == str(process.pid)
        return process

    yield start
    for process in started:
        process.kill()
        process.communicate()


@pytest.fixture
def own(tmp_path: Path) -> Iterator[SharedNumbers]:
    """What this process has counted; closed in the end."""
    made = SharedNumbers(str(tmp_path))
    yield made
    made.close()


def end(process: subprocess.Popen[str], signum: signal.Signals) -> None:
    process.send_signal(signum)
    process.wait(60)


def test_each_process_is_read_by_the_others(
    start: Callable[[int], subprocess.Popen[str]], own: SharedNumbers
) -> None:
    first, second = start(10), start(20)
    own.write({"requests_total": 1.0})
    running, ended = own.read()
    assert {pid: numbers["requests_total"] for pid, numbers in running.items()} == {
        first.pid: 10,
        second.pid: 20,
        os.getpid(): 1,
    }
    assert ended == {}


@pytest.mark.parametrize("signum", [signal.SIGKILL, signal.SIGTERM])
def test_counts_of_a_process_that_has_ended_stay_and_what_it_had_open_does_not(
    start: Callable[[int], subprocess.Popen[str]], own: SharedNumbers, signum: signal.Signals
) -> None:
    first, second = start(10), start(20)
    end(first, signum)
    running, ended = own.read()
    assert running.keys() == {second.pid, os.getpid()}
    assert ended == {"requests_total": 10}


def test_ended_processes_are_added_up_in_one_file(
    start: Callable[[int], subprocess.Popen[str]], tmp_path: Path
) -> None:
    for count in (1, 2, 3, 4):
        end(start(count), signal.SIGKILL)
        assert len(list(tmp_path.glob("*.db"))) <= 2
    own = SharedNumbers(str(tmp_path))
    try:
        assert own.read() == ({os.getpid(): {}}, {"requests_total": 10})
    finally:
        own.close()
    assert sorted(path.name for path in tmp_path.glob("*.db")) == sorted(
        [f"{os.getpid()}.db", "ended.db"]
    )


PREPARE = """
import os, sys
from gfcgi.options import Options
from gfcgi.process.status import shared
if sys.argv[2:]:
    sys.modules["prometheus_client"] = None
for _ in range(2):
    shared.prepare(Options(status_path=sys.argv[1] or None), uid=os.geteuid(), gid=os.getegid())
if os.fork() == 0:
    raise SystemExit(0)
os.wait()
assert shared.directory is None or os.path.isdir(shared.directory)
print(shared.directory)
"""


def prepared(place: Path, *arguments: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", PREPARE, *arguments],
        capture_output=True,
        text=True,
        env={**os.environ, "TMPDIR": str(place)},
        timeout=60,
        check=True,
    )
    return done.stdout.strip()


def test_directory_is_there_until_the_process_that_made_it_ends(tmp_path: Path) -> None:
    assert Path(prepared(tmp_path, "/status")).parent == tmp_path
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("arguments", [[""], ["/status", "without prometheus-client"]])
def test_nothing_is_made_where_nobody_reads_it(tmp_path: Path, arguments: list[str]) -> None:
    assert prepared(tmp_path, *arguments) == "None"


def test_room_on_the_disk_is_taken_at_once(
    own: SharedNumbers, tmp_path: Path, numbers: Callable[..., dict[str, float]]
) -> None:
    """A file that is mapped and finds no room when it is written to would kill the process."""
    own.write(numbers({}))
    found = os.stat(tmp_path / f"{os.getpid()}.db")
    assert found.st_blocks * 512 >= found.st_size == shared._FILE_BYTES


@contextmanager
def files_of_at_most(size: int) -> Iterator[None]:
    """As on a disk with no room for more."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_a_process_without_room_for_its_numbers_keeps_no_other_from_its_own(
    start: Callable[[int], subprocess.Popen[str]], tmp_path: Path
) -> None:
    end(start(10), signal.SIGKILL)
    with files_of_at_most(0), pytest.raises(OSError, match="File too large"):
        SharedNumbers(str(tmp_path))
    made = SharedNumbers(str(tmp_path))
    made.write({"requests_total": 1.0})
    running, ended = made.read()
    made.close()
    assert [numbers["requests_total"] for numbers in running.values()] == [1]
    assert ended["requests_total"] == 10


def test_no_file_has_a_byte_that_the_disk_has_not_given(
    start: Callable[[int], subprocess.Popen[str]], tmp_path: Path
) -> None:
    """Writing to it by mmap would be SIGBUS on a full disk."""
    end(start(10), signal.SIGKILL)
    made = SharedNumbers(str(tmp_path))
    made.write({"requests_total": 1.0})
    made.close()
    for path in tmp_path.glob("*.db"):
        about = path.stat()
        assert about.st_blocks * 512 >= about.st_size, path
    assert (tmp_path / "ended.db").exists()
