"""The ways an application process comes to life, apart from the Web server starting it."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path

from gfcgi.configurations import configuration

from .harness import PrivateRoot, Program, free_port, listens, need, python_environment, wait_until


@dataclass(frozen=True)
class Address:
    """Where an application listens: the path of a UNIX socket, or a port of 127.0.0.1."""

    path: str = ""
    port: int = 0

    def __str__(self) -> str:
        return self.path or f"127.0.0.1:{self.port}"

    @property
    def bind(self) -> str:
        """The address as ``--bind`` has it."""
        return f"unix:{self.path}" if self.path else str(self)


@dataclass(frozen=True)
class Application:
    """Base: the Web server starts the script by itself, and there is no process of ours."""

    #: Over TCP and not over a UNIX socket.
    tcp: bool = False

    def address(self, root: PrivateRoot) -> Address:
        """A fresh address in one private root."""
        if self.tcp:
            return Address(port=free_port())
        return Address(path=str(root.path / "run" / "app.sock"))

    def command(self, script: Path, address: Address) -> list[str]:
        """The command that serves ``script`` at ``address``; empty where there is none."""
        return []

    def start(self, root: PrivateRoot, script: Path, address: Address) -> Program | None:
        """Start the application's process, if it has one."""
        command = self.command(script, address)
        if not command:
            return None
        return Program(root, "application", command, python_environment())


@dataclass(frozen=True)
class Bound(Application):
    """Started independently: ``python -m gfcgi SCRIPT --bind ADDRESS``, with further arguments."""

    arguments: tuple[str, ...] = ()

    def command(self, script: Path, address: Address) -> list[str]:
        return [sys.executable, "-m", "gfcgi", str(script), "--bind", address.bind, *self.arguments]


@dataclass(frozen=True)
class Gunicorn(Application):
    """``gunicorn -k gfcgi.gunicorn.Worker``, with further arguments."""

    arguments: tuple[str, ...] = ()
    workers: int = 1

    def command(self, script: Path, address: Address) -> list[str]:
        return [
            *[sys.executable, "-m", "gunicorn", f"{script.stem}:application"],
            *["-k", "gfcgi.gunicorn.Worker", "--chdir", str(script.parent)],
            *["-w", str(self.workers), "-b", address.bind, *self.arguments],
        ]


@dataclass(frozen=True)
class SpawnFcgi(Application):
    """Started by spawn-fcgi, listening socket on fd 0; ``forks`` goes through multiwatch."""

    forks: int = 0

    def command(self, script: Path, address: Address) -> list[str]:
        need("spawn-fcgi")
        if self.forks:
            need("multiwatch")
        printed = configuration(
            "spawn-fcgi",
            str(script),
            bind=address.bind,
            processes=self.forks or None,
            python=sys.executable,
        )
        return ["/bin/sh", "-c", printed, "start", "-n"]


def wait_for_socket(program: Program, address: Address) -> None:
    """Wait until the application's socket is there, or the program has ended.

    Some Web servers look again only after a second or two if they come too early.
    """
    if not address.path and not address.port:
        return

    def there() -> bool:
        return Path(address.path).exists() if address.path else listens(address.port)

    wait_until(lambda: program.exited() or there(), f"{program.name} to listen on {address}")
