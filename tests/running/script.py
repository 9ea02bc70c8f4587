"""A script that ends with ``gfcgi.run(application)``, in a process of its own."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import final

from webserver_side import DEADLINE_SECONDS, TransportConnection, cgi_params, request

__all__ = ["ServedScript", "serving"]

START_SECONDS = 60.0

END = """
import gfcgi
if __name__ == "__main__":
    gfcgi.run(application, bind="unix:app.sock")
"""
ANSWER = """
def answer(start_response, text):
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [str(text).encode()]
"""
"""What the scripts of tests may call."""


@final
class ServedScript:
    """The process; its log is in a file."""

    def __init__(self, directory: Path, script: str, environ: dict[str, str]) -> None:
        self.directory = directory
        (directory / "app.py").write_text(ANSWER + script + END)
        self.address = str(directory / "app.sock")
        self._log = directory / "app.log"
        with open(self._log, "wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, "app.py"],
                cwd=directory,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env={**os.environ, **environ},
            )
        self._opened: list[TransportConnection] = []

    def log(self) -> str:
        return self._log.read_text("utf-8", "replace")

    def until(self, condition: Callable[[], object], seconds: float = START_SECONDS) -> None:
        deadline = time.monotonic() + seconds
        while not condition():
            assert self.process.poll() is None, self.log()
            assert time.monotonic() < deadline, self.log()
            time.sleep(0.01)

    def ask(
        self, path: str = "/", body: bytes = b"", deadline: float = DEADLINE_SECONDS
    ) -> TransportConnection:
        """Send a request; the answer comes on the connection that is returned."""
        connection = TransportConnection(self.address, deadline=deadline)
        self._opened.append(connection)
        method = "POST" if body else "GET"
        connection.send(request(1, cgi_params(method, path, body=body), body))
        return connection

    def get(self, path: str = "/") -> str:
        """The body of one answer, whose status must be 200."""
        return self.bodies([self.ask(path)])[0]

    def at_once(self, paths: Iterable[str]) -> list[str]:
        """The bodies of the answers to requests that are sent at once."""
        return self.bodies([self.ask(path) for path in paths])

    def bodies(self, asked: Iterable[TransportConnection]) -> list[str]:
        responses = [connection.response(1) for connection in asked]
        for response in responses:
            assert response.status == 200, f"{response.stdout!r}\n{self.log()}"
        return [response.body.decode() for response in responses]

    def stop(self) -> int:
        """Stop in order; the exit status."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(START_SECONDS)

    def end(self) -> None:
        for connection in self._opened:
            connection.close()
        for signum in (signal.SIGTERM, signal.SIGINT):
            if self.process.poll() is None:
                self.process.send_signal(signum)
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait(START_SECONDS)


@contextmanager
def serving(directory: Path, script: str, **environ: str) -> Iterator[ServedScript]:
    """Serve ``application`` of a script, with default options, while the body runs."""
    served = ServedScript(directory, script, environ)
    try:
        served.until(lambda: "listening on" in served.log())
        yield served
    finally:
        served.end()
