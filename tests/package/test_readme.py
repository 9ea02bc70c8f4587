"""The README's first command, as a person copies it: in a fresh clone, with nothing installed."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import urllib.request
from pathlib import Path

import compiling
import pytest

pytest.importorskip("build", reason="the package environment of tox checks the distributions")

DEADLINE_SECONDS = 300


def test_the_first_command_ends_with_a_page_and_serves_the_build_that_can_be_had(
    clone: Path, tmp_path: Path
) -> None:
    """The command's own port may be taken on this machine: any other that is free will do."""
    readme = (clone / "README.md").read_text("utf-8")
    found = re.search(r"^python3 -m venv .* --http$", readme, re.MULTILINE)
    assert found is not None
    python = os.path.dirname(sys.executable)
    ours = ("VIRTUAL", "GFCGI_")
    environ = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
    environ["PATH"] = os.pathsep.join([python, environ.get("PATH", os.defpath)])
    with (
        (tmp_path / "log").open("wb") as log,
        subprocess.Popen(
            ["sh", "-c", found[0] + " 127.0.0.1:0"],
            cwd=clone,
            env=environ,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
            start_new_session=True,
        ) as shell,
    ):
        try:
            said = next(line for line in shell.stdout or () if line.startswith("open "))
            address = re.fullmatch(r"open (http://127\.0\.0\.1:\d+/) in a browser\n", said)
            assert address is not None, said
            with urllib.request.urlopen(address[1], timeout=DEADLINE_SECONDS) as page:
                assert page.headers["Content-Type"] == "text/html"
                assert page.read() == b"<html><body><h2>hello world</h2></body></html>"
        finally:
            os.killpg(shell.pid, signal.SIGTERM)
            shell.wait(DEADLINE_SECONDS)
    said = (tmp_path / "log").read_text()
    assert f" ({'pure Python' if compiling.missing() else 'compiled'}) serves " in said, said
