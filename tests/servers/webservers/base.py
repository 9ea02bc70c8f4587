"""One small class for each Web server: its configuration, its command, its signals and its logs.

What a person would put into the Web server's configuration for an application is what ``python -m
gfcgi config`` prints, as it is. A class adds what makes a private instance of the Web server: its
modules, logs, process id and the like.
"""

from __future__ import annotations

import re
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, ClassVar

from gfcgi.configurations import configuration
from servers.applications import Address
from servers.exchange import Reply
from servers.harness import SYSTEM_PATH, PrivateRoot


@dataclass(frozen=True)
class Place:
    """What a configuration is written for."""

    root: PrivateRoot
    port: int
    mount: str
    script: Path
    address: Address
    #: Further options of the command.
    asked: Mapping[str, Any] = field(default_factory=dict, kw_only=True)

    @property
    def listen(self) -> str:
        """Where the Web server listens, as the command's ``--listen`` has it."""
        return f"127.0.0.1:{self.port}"

    def printed(self, server: str, **asked: Any) -> str:
        """What ``python -m gfcgi config SERVER`` prints for this place."""
        if not asked.get("spawn"):
            asked.setdefault("bind", self.address.bind)
        return configuration(
            server,
            str(self.script),
            url=self.mount or "/",
            python=sys.executable,
            **{**asked, **self.asked},
        )


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

    def refuses_some(self) -> str:
        """Why this version may refuse some of many requests that begin at once; empty: none."""
        return ""

    def refused(self, reply: Reply) -> bool:
        """Whether an answer is such a refusal, of which the application has never heard."""
        return False

    def refusals(self, log: str) -> int:
        """Of how many such refusals its log tells."""
        return 0

    def crashed(self, log: str) -> bool:
        """Whether its log tells of a crash that is known, and its own."""
        return False

    def lost_children(self, log: str) -> list[float]:
        """When, in seconds since the epoch, a fault of its own has ended a child; by its log."""
        return []

    def version(self) -> str:
        """Name and version as the matrix shows them."""
        raise NotImplementedError


@dataclass(frozen=True)
class Asking(WebServer):
    """Another Web server, with a configuration that is printed with further options."""

    other: WebServer
    options: Callable[[Place], Mapping[str, Any]]

    def command(self, place: Place) -> list[str]:
        return self.other.command(replace(place, asked=self.options(place)))

    def environment(self) -> dict[str, str]:
        return self.other.environment()

    def version(self) -> str:
        return self.other.version()


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
