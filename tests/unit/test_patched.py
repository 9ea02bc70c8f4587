"""gfcgi.patched: importing it patches, in a process of its own."""

from __future__ import annotations

import subprocess
import sys

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


def test_it_patches_and_keeps_gevents_warnings_and_nobody_elses():
    done = subprocess.run(
        [sys.executable, "-W", "always", "-c", SCRIPT], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "elsewhere.py:3: UserWarning: something else" in done.stderr
    assert "MonkeyPatchWarning" not in done.stderr
