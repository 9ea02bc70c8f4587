"""WsgiDAV, put to the test by litmus, which compares every URL with the one that it asked for."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest
from servers.harness import SYSTEM_PATH, need

from .deployments import Project, behind, installed

pytestmark = [pytest.mark.servers, installed("wsgidav")]

SITE = "wsgidav_share"
SUITES = ("basic", "copymove", "props", "locks", "http")
SECONDS = 300.0


@pytest.fixture(scope="module", params=["", "/dav"], ids=["at-root", "at-dav"])
def mount(request: pytest.FixtureRequest) -> str:
    """Where the application is mounted."""
    return str(request.param)


def test_litmus_finds_no_fault(project: Project, mount: str, tmp_path: Path) -> None:
    """On a port that is not 80: a COPY whose Destination names another host or port fails."""
    litmus = need("litmus")
    with behind("nginx", project, mount, "/") as site:
        done = subprocess.run(
            [litmus, "-k", f"http://127.0.0.1:{site.port}{mount}/"],
            cwd=tmp_path,
            env={"PATH": SYSTEM_PATH, "HOME": str(tmp_path)},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=SECONDS,
            check=False,
        )
    found = re.findall(r"summary for `(\w+)': of (\d+) tests run: (\d+) passed", done.stdout)
    assert [suite for suite, _, _ in found] == list(SUITES), done.stdout
    assert all(run == passed for _, run, passed in found), done.stdout
    assert done.returncode == 0, done.stdout
