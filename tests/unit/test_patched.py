"""gfcgi.patched: importing it patches, in a process of its own."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

SCRIPT = """\
import socket, time, warnings
from gevent import monkey

patch_all = monkey.patch_all


def complaining():
    warnings.warn("too late\\n  for ssl", monkey.MonkeyPatchWarning)
    warnings.warn_explicit("something else", UserWarning, "elsewhere.py", 3)
    patch_all()


monkey.patch_all = complaining
import gfcgi.patched

assert monkey.is_module_patched("socket") and monkey.is_module_patched("threading")
assert gfcgi.patched.complaints == ["too late for ssl"], gfcgi.patched.complaints
"""

MULTIPROCESSING = """\
import sys

imported_before = "multiprocessing" in sys.modules
import gfcgi.patched

assert ("multiprocessing" in sys.modules) == imported_before
import multiprocessing

assert multiprocessing.get_start_method() == "fork", multiprocessing.get_start_method()
"""


def test_it_patches_and_keeps_gevents_warnings_and_nobody_elses():
    done = subprocess.run(
        [sys.executable, "-W", "always", "-c", SCRIPT], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "elsewhere.py:3: UserWarning: something else" in done.stderr
    assert "MonkeyPatchWarning" not in done.stderr


FACE = """\
from gevent import monkey
import fcntl, os

before = fcntl.flock, os.getpid
import gfcgi.patched
from gfcgi.process.patching import patch

flock = fcntl.flock
patch()
print(flock is not before[0], fcntl.flock is flock, os.getpid is before[1])
"""


def run(script, **environ):
    return subprocess.run(
        [sys.executable, "-c", script],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, **environ},
    )


def test_what_gevent_leaves_blocking_is_replaced_once():
    done = run(FACE)
    assert done.stdout.split() == ["True", "True", "True"], done.stderr


def test_a_process_that_gevent_patched_itself_gets_the_rest():
    done = run("from gevent import monkey\nmonkey.patch_all()\n" + FACE)
    assert done.stdout.split() == ["True", "True", "True"], done.stderr


def test_the_environment_leaves_parts_out():
    done = run(FACE.replace("patch()", ""), GFCGI_NO_COOPERATIVE="file-locks")
    assert done.stdout.split() == ["False", "True", "True"], done.stderr


def test_a_part_that_there_is_not_is_one_line_and_exit_2():
    done = run("import gfcgi.patched", GFCGI_NO_COOPERATIVE="flocks")
    assert (done.returncode, done.stdout) == (2, "")
    (line,) = done.stderr.splitlines()
    assert line.startswith("gfcgi: GFCGI_NO_COOPERATIVE: 'flocks': it must be one of file-locks")


@pytest.mark.parametrize("before", ["", "import multiprocessing\n"], ids=["after", "before"])
def test_multiprocessing_is_as_gevent_wants_it_though_patching_does_not_import_it(before):
    """Its start method works in a patched process, whichever of the two is imported first."""
    done = run(before + MULTIPROCESSING)
    assert done.returncode == 0, done.stderr
