"""What the kernel has counted of a process."""

from __future__ import annotations

import os
import subprocess
import sys
import time

import pytest

from benchmarks.accounting import cpu_seconds, memory_bytes, process_tree

SLEEPS = [sys.executable, "-c", "import time; print('up', flush=True); time.sleep(600)"]


def test_the_cpu_time_of_a_process_is_its_own_and_no_other_clock() -> None:
    before = time.process_time()
    counted = cpu_seconds([os.getpid()])
    assert before <= counted <= time.process_time()


def test_a_process_that_ended_is_not_counted_as_idle() -> None:
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    with pytest.raises(ProcessLookupError):
        cpu_seconds([process.pid])


def test_what_a_server_has_started_counts_with_it() -> None:
    with subprocess.Popen(SLEEPS, stdout=subprocess.PIPE) as child:
        try:
            assert child.stdout is not None
            child.stdout.readline()
            tree = process_tree(os.getpid())
            assert tree[0] == os.getpid()
            assert child.pid in tree
            assert memory_bytes([os.getpid(), child.pid]) > memory_bytes([child.pid]) > 0
        finally:
            child.kill()
