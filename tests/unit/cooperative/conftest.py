"""Scripts in a patched process of their own: this one stays as it is."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

DEADLINE_SECONDS = 60


@pytest.fixture
def patched(tmp_path: Path) -> Callable[..., list[str]]:
    """Run a script in a process that ``gfcgi.patched`` has patched; give the words it prints.

    coverage imports modules of its own, sqlite3 for one: ``measured=False`` is without it.
    """

    def run(script: str, *, measured: bool = True, **environ: str) -> list[str]:
        inherited = {
            name: value
            for name, value in os.environ.items()
            if measured or not name.startswith("COVERAGE")
        }
        done = subprocess.run(
            [sys.executable, "-c", f"import gfcgi.patched\n{script}"],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=False,
            timeout=DEADLINE_SECONDS,
            env={**inherited, **environ},
        )
        assert done.returncode == 0, done.stderr
        assert not done.stderr, done.stderr
        return done.stdout.split()

    return run
