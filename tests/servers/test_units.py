"""The printed systemd units, as systemd itself judges them."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from gfcgi.configurations import configuration

from .harness import need

pytestmark = pytest.mark.servers

MOST_EXPOSED = 4.0
"""Of 10; systemd calls this OK, and its own services are between 2 and 9."""


@pytest.fixture(params=["script", "module", "processes"])
def units(request: pytest.FixtureRequest, tmp_path: Path) -> list[Path]:
    """The socket and the service, a file each, for an application that is there."""
    target = "mysite:app"
    processes = 4 if request.param == "processes" else None
    if request.param == "script":
        script = tmp_path / "hello.fcgi"
        script.write_text("#!/bin/sh\n")
        script.chmod(0o755)
        target = str(script)
    where = {"python": sys.executable, "directory": str(tmp_path)}
    files = []
    for text in (
        configuration("systemd-socket", target, **where),
        configuration("systemd", target, url="/app", processes=processes, **where),
    ):
        # Each is saved as it is, where its first line says.
        name = re.match(r"# /etc/systemd/system/(\S+)\n", text)
        assert name is not None
        files.append(tmp_path / name[1])
        files[-1].write_text(text)
    assert [file.suffix for file in files] == [".socket", ".service"]
    return files


def test_systemd_finds_nothing_wrong_with_the_units(units: list[Path]) -> None:
    command = [need("systemd-analyze"), "verify", *map(str, units)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_the_service_is_confined_as_far_as_an_application_can_live_with(units: list[Path]) -> None:
    command = [need("systemd-analyze"), "security", "--offline=true", str(units[1])]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    level = re.search(r"Overall exposure level for \S+: ([\d.]+)", done.stdout)
    assert level is not None, done.stdout + done.stderr
    assert float(level[1]) <= MOST_EXPOSED
