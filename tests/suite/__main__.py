"""``python -m suite …``: run the whole suite, with pytest's arguments."""

from __future__ import annotations

import subprocess
import sys

from . import run


def _pytest(arguments: list[str]) -> int:
    with subprocess.Popen([sys.executable, "-m", "pytest", *arguments]) as process:
        while True:
            try:
                return process.wait()
            except KeyboardInterrupt:  # pytest has it from the terminal too, and cleans up
                continue


if __name__ == "__main__":
    sys.exit(run(sys.argv[1:], _pytest))
