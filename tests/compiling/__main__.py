"""``python -m compiling …``: install the compiled build, then run the suite on it.

The arguments are pytest's.

Where it cannot be compiled a person is told so and nothing runs, as with a Web server that is not
installed; where GFCGI_REQUIRE_SERVERS is set, as in CI, that is a failure.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from . import missing

ROOT = Path(__file__).resolve().parents[2]

if what := missing():
    print(f"the compiled build is not tested: {what} is not here")
    sys.exit(1 if os.environ.get("GFCGI_REQUIRE_SERVERS") else 0)
subprocess.run(
    [sys.executable, "-I", "-m", "pip", "install", "-q", "--force-reinstall", ROOT],
    env={**os.environ, "GFCGI_COMPILE": "1"},
    check=True,
)
os.execv(sys.executable, [sys.executable, "-m", "suite", *sys.argv[1:]])
