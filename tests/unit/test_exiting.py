"""gfcgi.exiting: a forked process ends with the status that Python would have."""

from __future__ import annotations

import subprocess
import sys

import pytest


@pytest.mark.parametrize(
    ("error", "status", "said"),
    [
        ("None", 0, ""),
        ("SystemExit()", 0, ""),
        ("SystemExit(3)", 3, ""),
        ("SystemExit(True)", 1, ""),
        ("SystemExit(256 + 4)", 4, ""),
        ("SystemExit('in vain')", 1, "in vain\n"),
        ("KeyboardInterrupt()", 1, ""),
    ],
)
def test_statuses(error, status, said):
    script = (
        "import atexit, sys\n"
        "from gfcgi.exiting import end_process\n"
        "atexit.register(print, 'exit')\n"
        "print('out', end='')\n"
        f"try: end_process({error})\n"
        "finally: print('finally')\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout, done.stderr) == (status, "out", said)


def test_streams_that_are_gone_do_not_matter():
    script = (
        "import sys\n"
        "from gfcgi.exiting import end_process\n"
        "sys.stdout.close(); sys.stderr = None\n"
        "end_process(SystemExit('in vain'))\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, check=False)
    assert (done.returncode, done.stderr) == (1, b"")
