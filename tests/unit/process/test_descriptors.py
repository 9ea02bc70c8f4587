"""gfcgi.process.descriptors: the standard ones, and as many as the connections need."""

from __future__ import annotations

import logging
import os
import resource
import subprocess
import sys

import pytest

from gfcgi.options import Options
from gfcgi.process.descriptors import OWN_DESCRIPTORS, raise_nofile_limit


@pytest.fixture
def limits(monkeypatch):
    """Stands in for the kernel's limits: [soft, hard]."""
    now = [1024, 4096]
    monkeypatch.setattr(resource, "getrlimit", lambda which: tuple(now))
    monkeypatch.setattr(resource, "setrlimit", lambda which, pair: now.__setitem__(slice(2), pair))
    return now


@pytest.mark.parametrize(
    ("connections", "soft", "hard", "raised", "warned"),
    [
        (100, 1024, 4096, 1024, False),
        (2000, 1024, 4096, 2000 + OWN_DESCRIPTORS, False),
        (2000, 1024, resource.RLIM_INFINITY, 2000 + OWN_DESCRIPTORS, False),
        (2000, resource.RLIM_INFINITY, resource.RLIM_INFINITY, resource.RLIM_INFINITY, False),
        (10000, 1024, 4096, 4096, True),
        (10000, 4096, 4096, 4096, True),
    ],
)
def test_the_soft_limit_is_raised_as_far_as_needed_and_possible(
    limits, caplog, connections, soft, hard, raised, warned
):
    limits[:] = soft, hard
    with caplog.at_level(logging.WARNING, "gfcgi"):
        raise_nofile_limit(Options(max_connections=connections))
    assert limits == [raised, hard]
    assert ("max_connections=10000 needs 10256 open files" in caplog.text) is warned


def python(script, closed):
    """Run a script in a process that starts with some standard descriptors closed."""
    report = "import os; out = os.fdopen(int(sys.argv[1]), 'w')\n"
    reading, writing = os.pipe()
    command = [sys.executable, "-c", f"import sys\n{report}{script}", str(writing)]
    closing = " ".join(f"{fd}>&-" for fd in closed)
    with open(reading) as answer:
        done = subprocess.Popen(
            ["sh", "-c", f'exec "$@" {closing}', "sh", *command],
            pass_fds=[writing],
        )
        os.close(writing)
        said = answer.read()
        assert done.wait(60) == 0, said
        return said


LOOK = """
from gfcgi.process.descriptors import open_standard
open_standard()
for fd in (0, 1, 2):
    print(os.path.samestat(os.fstat(fd), os.stat('/dev/null')), os.get_inheritable(fd), file=out)
"""


@pytest.mark.parametrize("closed", [(0,), (1,), (2,), (0, 1), (1, 2), (0, 2), (0, 1, 2)])
def test_standard_descriptors_that_are_closed_become_dev_null(closed):
    lines = python(LOOK, closed).splitlines()
    assert [lines[fd] for fd in closed] == ["True True"] * len(closed)


@pytest.mark.parametrize("closed", [(0,), (1,), (2,), (0, 1, 2)])
def test_where_there_is_no_dev_null_they_are_empty_and_no_socket_gets_their_numbers(closed):
    script = f"os.devnull = '/nowhere/null'\n{LOOK.partition('for fd')[0]}"
    script += "import socket; print(socket.socket().fileno() > 2, file=out)\n"
    script += f"print([os.read(fd, 1) for fd in {closed}], file=out)\n"
    assert python(script, closed) == f"True\n{[b''] * len(closed)}\n"


def test_what_is_open_stays(tmp_path):
    (tmp_path / "given").write_text("given")
    script = "from gfcgi.process.descriptors import open_standard\nopen_standard()\n"
    with open(tmp_path / "given") as given:
        done = subprocess.run(
            [sys.executable, "-c", f"{script}print(input())"],
            stdin=given,
            capture_output=True,
            text=True,
            check=True,
            timeout=60,
        )
    assert (done.stdout, done.stderr) == ("given\n", "")
