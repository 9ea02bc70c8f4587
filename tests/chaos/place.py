"""A column of the Web servers' tests, with the application of the chaos run under a supervisor."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path

from running.stepping_clock import stepping_clock
from servers.applications import Address, Application
from servers.columns import Column
from servers.harness import PrivateRoot, Program, command_line, python_environment
from servers.site import Site
from servers.webservers import ApacheFcgid, ApacheProxy, HAProxy, Nginx, Place

from .requests import Sent
from .witness import Witness

__all__ = ["COLUMNS", "ChaosSite"]

HERE = Path(__file__).resolve().parent
PROCESSES = 2
SPOOLING = {"GFCGI_MULTIPLEXED_BUFFER_BYTES": "16384"}
"""Bodies that wait are on disk soon."""


@dataclass(frozen=True)
class Supervised(Application):
    """Processes on one socket, which outlives them."""

    def command(self, script: Path, address: Address) -> list[str]:
        supervisor = [sys.executable, str(HERE / "supervisor.py")]
        return [*supervisor, address.bind, str(PROCESSES), sys.executable, str(script)]

    def start(self, root: PrivateRoot, script: Path, address: Address) -> Program:
        environment = python_environment() | variables(root) | SPOOLING
        return Program(root, "application", self.command(script, address), environment)


@dataclass(frozen=True)
class SteppedFcgid(ApacheFcgid):
    """mod_fcgid, whose processes have a clock that can be stepped."""

    def application(self, place: Place) -> str:
        lines = [
            f'FcgidInitialEnv {name} "{value}"' for name, value in variables(place.root).items()
        ]
        return "\n".join([*lines, super().application(place)])


def variables(root: PrivateRoot) -> dict[str, str]:
    """What has the application look at ``ChaosSite.step``, and tell ``ChaosSite.witness``."""
    library, step = stepping_clock(root.path / "run")
    found = {"STEP": str(step), "WITNESS": str(root.path / "run" / "witness")}
    return found if library is None else found | {"LD_PRELOAD": str(library)}


COLUMNS = {
    "nginx": Column("nginx", Nginx(keep_conn=True), Supervised()),
    "mod_fcgid": Column("mod_fcgid", SteppedFcgid(), Application()),
    "mod_proxy_fcgi": Column("mod_proxy_fcgi", ApacheProxy(reuse=True), Supervised()),
    "haproxy": Column("haproxy", HAProxy(multiplex=True), Supervised(tcp=True)),
}


class ChaosSite(Site):
    """A running column."""

    def __init__(self, column: Column) -> None:
        super().__init__(column, HERE / "chaos.fcgi", ready="/answer?number=0&size=1")

    def place_script(self) -> Path:
        self.witness = Witness(self.root.path / "run" / "witness")
        return super().place_script()

    def stop(self) -> list[str]:
        faults = super().stop()
        self.witness.close()
        return faults

    def lines_about(self, sent: Sent) -> list[str]:
        """What the logs say of a request, where they name its URL."""
        texts = [path.read_text(errors="replace") for path in (self.root.path / "logs").iterdir()]
        return [
            line for text in texts for line in text.splitlines() if f"number={sent.number}&" in line
        ]

    @property
    def step(self) -> Path:
        """The file that steps the application's clock."""
        return self.root.path / "run" / "step"

    def application_pids(self) -> list[int]:
        """The application's processes, without their children."""
        program = self.application or self.server
        found = {
            pid
            for pid in program.session_pids()
            if "chaos.fcgi" in command_line(pid) and "supervisor" not in command_line(pid)
        }
        return sorted(pid for pid in found if parent_of(pid) not in found)

    def is_alive(self, pid: int) -> bool:
        """Whether the process is there; one that has ended may still have threads, and sockets."""
        try:
            state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
            return state not in "ZX" or len(list(Path(f"/proc/{pid}/task").iterdir())) > 1
        except OSError:
            return False


def parent_of(pid: int) -> int:
    try:
        return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
    except OSError:
        return 0
