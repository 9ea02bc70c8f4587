"""docs/howto/docker.md: gfcgi as a container's first process."""

from __future__ import annotations

import ipaddress
import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from gfcgi.options import Options

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "howto" / "docker.md").read_text("utf-8")
UNSHARE = ["unshare", "--user", "--map-root-user", "--pid", "--fork"]


def can_unshare() -> bool:
    """Whether this account may make a PID namespace."""
    if shutil.which("unshare") is None:
        return False
    return subprocess.run([*UNSHARE, "true"], capture_output=True, check=False).returncode == 0


def command() -> list[str]:
    """The CMD of the page's Dockerfile."""
    (found,) = re.findall(r"^CMD (\[.*\])$", PAGE, re.MULTILINE)
    return json.loads(found)


@pytest.mark.skipif(not can_unshare(), reason="no PID namespaces here")
def test_the_first_process_of_a_container_ends_on_sigterm(tmp_path):
    """To PID 1 the kernel gives only the signals that it handles."""
    # The signal comes from outside the namespace, as Docker's does.
    served = [ROOT / "examples" / "hello.fcgi", "--bind", f"unix:{tmp_path}/a.sock"]
    process = subprocess.Popen(
        [*UNSHARE, "--kill-child", sys.executable, "-m", "gfcgi", *served],
        stderr=subprocess.PIPE,
        text=True,
    )
    with process:
        try:
            assert "process 1" in process.stderr.readline()
            assert "listening" in process.stderr.readline()
            children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text()
            (first,) = children.split()
            subprocess.run(["kill", "-TERM", first], check=True)
            assert process.wait(60) == 0
        finally:
            process.kill()


def test_the_dockerfiles_command_lets_in_the_network_of_the_compose_file_and_no_other():
    name, target, *given = command()
    assert (name, target) == ("gfcgi", "/srv/hello/hello.fcgi")
    keywords = dict(zip(given[::2], given[1::2], strict=True))
    options = Options.from_sources(
        command_line={key[2:].replace("-", "_"): value for key, value in keywords.items()}
    )
    (subnet,) = re.findall(r"subnet: ([\d./]+)", PAGE)
    assert options.allow_from == (subnet,)
    assert ipaddress.ip_network(subnet).is_private
    (port,) = re.findall(r"^EXPOSE (\d+)$", PAGE, re.MULTILINE)
    assert options.bind == (f"0.0.0.0:{port}",)
    assert re.search(rf"server application:{port};", PAGE)
