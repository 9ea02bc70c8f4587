"""One column, running: the Web server, the application, and how a test talks to both."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from .applications import wait_for_socket
from .columns import Column
from .exchange import HTTPClient, Reply
from .harness import HERE, PrivateRoot, Program, free_port, wait_until
from .webservers import Place

ATTEMPTS = 3
APPLICATION = HERE / "app.fcgi"


class StartError(Exception):
    """A Web server or an application did not come up; the text holds what they logged."""


class Site:
    """A running column. Use ``start`` to make one and ``stop`` when done."""

    def __init__(self, column: Column, script: Path = APPLICATION, ready: str = "/hello") -> None:
        """``ready`` is the path below the mount that answers 200 once all is well."""
        self.column = column
        self.mount = column.mount
        self.ready = ready
        self.source = script
        self._tokens = 0

    def start(self) -> None:
        """Start both, with fresh ports if somebody took one. Raises StartError."""
        for attempt in range(ATTEMPTS):
            try:
                self._start()
            except StartError as error:
                if "in use" not in str(error).lower() or attempt == ATTEMPTS - 1:
                    raise
            else:
                return

    def _start(self) -> None:
        self.root = PrivateRoot()
        self.programs: list[Program] = []
        try:
            script = self.place_script()
            self.address = address = self.column.application.address(self.root)
            self.port = free_port()
            place = Place(self.root, self.port, self.mount, script, address)
            application = self.column.application.start(self.root, script, address)
            self.application = application
            if application is not None:
                self.programs.append(application)
                wait_for_socket(application, address)
            self.server = Program(
                self.root,
                "webserver",
                self.column.server.command(place),
                self.column.server.environment(),
            )
            self.programs.insert(0, self.server)
            wait_until(self._ready_or_dead, f"{self.column} to answer", pause=0.05)
            dead = [program.name for program in self.programs if program.exited()]
            if dead:
                raise StartError(f"{self.column}: {dead} ended at once\n{self.root.read_logs()}")
        except AssertionError as error:
            logs = self.root.read_logs()
            self.stop()
            raise StartError(f"{error}\n{logs}") from error
        except BaseException:
            self.stop()
            raise

    def place_script(self) -> Path:
        """Put the script where the Web server finds it."""
        return self.root.script(self.source)

    def _ready_or_dead(self) -> bool:
        if any(program.exited() for program in self.programs):
            return True
        try:
            return self.get(self.ready).status == 200
        except OSError:
            return False

    def stop(self) -> list[str]:
        """Stop the Web server, then the application; return what went wrong while doing so."""
        faults = []
        for program in self.programs:
            number = self.column.server.stop_signal if program.name == "webserver" else None
            faults += program.stop(number) if number else program.stop()
        self.root.remove()
        return faults

    @contextmanager
    def running(self) -> Iterator[Site]:
        """Both run, and what goes wrong when they are stopped is a failure. Raises: StartError."""
        self.start()
        try:
            yield self
        finally:
            faults = self.stop()
        assert not faults, faults

    # -- HTTP ------------------------------------------------------------------

    def client(self) -> HTTPClient:
        """A connection to the Web server."""
        return HTTPClient(self.port)

    def request(self, method: str, path: str, body: Any = None, **headers: str) -> Reply:
        """One exchange on a connection of its own; ``path`` is below the mount, as sent."""
        values = {name.replace("_", "-"): value for name, value in headers.items()}
        with self.client() as client:
            return client.request(method, self.mount + path, body, values)

    def get(self, path: str, **headers: str) -> Reply:
        """One GET on a connection of its own."""
        return self.request("GET", path, **headers)

    # -- the application's notes -------------------------------------------------

    def token(self) -> str:
        """A fresh name for one request."""
        self._tokens += 1
        return f"token{self._tokens:04d}x"

    def notes(self, token: str, event: str | None = None) -> list[dict[str, Any]]:
        """What the application has noted under a token so far, of one kind of event."""
        try:
            text = (self.state / f"{token}.log").read_text()
        except FileNotFoundError:
            return []
        found = [json.loads(line) for line in text.splitlines(keepends=True) if line[-1] == "\n"]
        return [entry for entry in found if event in (None, entry["event"])]

    def wait_note(self, token: str, event: str) -> dict[str, Any]:
        """Wait until the application has noted one event, and return it."""
        wait_until(lambda: self.notes(token, event), f"{self.column}: {event} of {token}")
        return self.notes(token, event)[0]

    def say(self, token: str, name: str) -> None:
        """Make the file that the application waits for."""
        (self.state / f"{token}.{name}").touch()

    @property
    def state(self) -> Path:
        """The directory of the notes."""
        return self.root.path / "www" / "state"

    # -- logs ------------------------------------------------------------------

    def error_log(self) -> str:
        """What the Web server has logged: its error log and its own standard output and error."""
        names = ("error.log", "webserver.out")
        paths = [self.root.path / "logs" / name for name in names]
        return "\n".join(path.read_text(errors="replace") for path in paths if path.exists())

    def application_log(self) -> str:
        """What an independently started application has logged; empty for the others."""
        path = self.root.path / "logs" / "application.out"
        return path.read_text(errors="replace") if path.exists() else ""
