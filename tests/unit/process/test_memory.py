"""gfcgi.process.memory: what is freed is there for the next piece of a body."""

from __future__ import annotations

import os
import platform
import subprocess
import sys

import pytest

PIECES = """if True:
    import resource, sys
    if sys.argv[1] == "kept":
        from gfcgi.process.memory import keep_freed_memory
        keep_freed_memory()
    def faults():
        return resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    before = faults()
    for _ in range(300):
        pieces = [b"x" * 65536 for _ in range(8)]
        del pieces
    print(faults() - before)
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="the C library is not glibc")
def test_pieces_of_a_body_reuse_the_memory_of_those_before():
    def faults(how: str) -> int:
        command = [sys.executable, "-c", PIECES, how]
        # Not measured by coverage, which frees a large block itself.
        env = {name: os.environ[name] for name in os.environ if not name.startswith("COVERAGE")}
        return int(subprocess.run(command, check=True, capture_output=True, env=env).stdout)

    assert faults("kept") < faults("as usual") / 3
