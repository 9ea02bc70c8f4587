"""One small class for each Web server: its configuration, its command, its signals and its logs.

A class writes two texts: what a person would put in the Web server's configuration for one
application, and around it what makes a private instance of it (its port, logs and process id).
"""

from __future__ import annotations

import re
import signal
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from servers.applications import Address
from servers.harness import SYSTEM_PATH, PrivateRoot


@dataclass(frozen=True)
class Place:
    """What a configuration is written for."""

    root: PrivateRoot
    port: int
    mount: str
    script: Path
    address: Address


@dataclass(frozen=True)
class WebServer:
    """One Web server in one mode."""

    #: The signal of a graceful reload; None where there is none to send.
    reload_signal: ClassVar[signal.Signals | None] = signal.SIGHUP
    stop_signal: ClassVar[signal.Signals] = signal.SIGTERM

    def command(self, place: Place) -> list[str]:
        """Write the configuration and return the command, which must stay in the foreground."""
        raise NotImplementedError

    def environment(self) -> dict[str, str]:
        """What the Web server itself needs in its environment, beside PATH, HOME and TMPDIR."""
        return {}

    def holds_stderr(self) -> str:
        """Why this version gets FCGI_STDERR only together with STDOUT; empty: at once."""
        return ""

    def version(self) -> str:
        """Name and version as the matrix shows them."""
        raise NotImplementedError


def ask_version(command: list[str], pattern: str) -> str:
    """The first group of ``pattern`` in what a program says of itself."""
    said = subprocess.run(
        command,
        capture_output=True,
        text=True,
        check=False,
        env={"PATH": SYSTEM_PATH, "HOME": "/nonexistent"},
    )
    found = re.search(pattern, said.stdout + said.stderr)
    return found.group(1) if found else "of unknown version"
