"""A ``gfcgi.server.Server`` in a process of its own, for tests that talk to it over a socket.

::

    with RunningServer(params_timeout_seconds=0.2) as server:
        with server.connect() as connection:
            connection.send(request(1, cgi_params(path="/hello")))

The application is in ``site.py``. Beside the listening socket the process has another one, which
tells what is going on inside (``state``) and lets waiting requests go on (``release``); it is none
of gfcgi's doing, so that a test can still ask when the server has no place left.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, final

from webserver_side import DEADLINE_SECONDS, Response, TransportConnection, cgi_params, request

__all__ = ["THREADS", "RunningServer", "wait_until"]

THREADS = int(os.environ.get("GFCGI_TEST_THREADS", "0"))
"""In how many operating-system threads the application runs; 0 is greenlets. A greenlet has
answered a request that does not wait before anything else is read; a thread has not."""

TESTS = Path(__file__).parent.parent


def wait_until(
    condition: Callable[[], bool], what: str, deadline: float = DEADLINE_SECONDS
) -> None:
    """Return once ``condition`` holds; fail, naming ``what`` was waited for, after the deadline."""
    until = time.monotonic() + deadline
    while not condition():
        assert time.monotonic() < until, f"in vain: waited for {what}"
        time.sleep(0.01)


@final
class RunningServer:
    """One process; ``options`` are those of ``gfcgi.options.Options``, ``tcp`` asks for a port.

    ``measured`` is whether coverage may measure it, which keeps some memory for each greenlet.
    Without ``threads`` among the options, they are ``THREADS``.
    """

    def __init__(self, *, tcp: bool = False, measured: bool = True, **options: object) -> None:
        # Not pytest's own folder: the path of a UNIX socket has at most 107 bytes.
        self._folder = tempfile.TemporaryDirectory(prefix="gfcgi-")
        folder = Path(self._folder.name)
        self.log_file = folder / "log"
        self.address: Any = str(folder / "fcgi.sock")
        listener = socket.socket(socket.AF_INET if tcp else socket.AF_UNIX)
        listener.bind(("127.0.0.1", 0) if tcp else self.address)
        if tcp:
            self.address = listener.getsockname()
        listener.listen(1024)
        control = socket.socket(socket.AF_UNIX)
        self._control_path = str(folder / "control.sock")
        control.bind(self._control_path)
        control.listen(8)
        options.setdefault("threads", THREADS)
        if THREADS:
            options.setdefault("queue_timeout_seconds", 60)  # for more requests than threads
        config = {
            "listener": listener.fileno(),
            "control": control.fileno(),
            "log": str(self.log_file),
            "options": options,
        }
        path = os.pathsep.join(filter(None, [str(TESTS), os.environ.get("PYTHONPATH", "")]))
        self.process = subprocess.Popen(
            [sys.executable, "-m", "running.child", json.dumps(config)],
            pass_fds=[listener.fileno(), control.fileno()],
            stdin=subprocess.DEVNULL,
            env={
                name: value
                for name, value in {**os.environ, "PYTHONPATH": path}.items()
                if measured or not name.startswith("COVERAGE_PROCESS")
            },
        )
        # Ours are closed; what connects now waits in the child's, whether it is ready or not.
        listener.close()
        control.close()

    def __enter__(self) -> RunningServer:
        return self

    def __exit__(self, *exception: object) -> None:
        self.stop()

    # -- the server's socket

    def connect(self, **more: Any) -> TransportConnection:
        """Connect as a Web server does."""
        return TransportConnection(self.address, **more)

    def get(self, path: str = "/hello", query: str = "", body: bytes = b"") -> Response:
        """Ask for one page over a connection of its own."""
        with self.connect() as connection:
            method = "POST" if body else "GET"
            connection.send(request(1, cgi_params(method, path, query, body), body))
            return connection.response(1)

    # -- what is going on inside

    def state(self) -> dict[str, Any]:
        """Counts of the process, and what the application has noted; see ``child.state``."""
        state = self._ask({"ask": "state"})
        assert isinstance(state, dict)
        return state

    def state_at_rest(self) -> dict[str, Any]:
        """``state`` once nothing is open and the greenlets of past requests have gone."""

        def at_rest() -> bool:
            before = state.get("greenlets")
            state.update(self.state())
            if state["connections"] or state["active_requests"] or state["parked"]:
                return False
            return bool(state["greenlets"] == before)  # one that is told to end has a turn to do so

        state: dict[str, Any] = {}
        wait_until(at_rest, "nothing to be going on")
        return state

    def noted(self, key: str) -> Any:
        """The last that the application has noted under ``key``, or None."""
        return self.state()["notes"].get(key)

    def wait_noted(self, key: str, value: object) -> None:
        """Wait until the application has noted this."""
        wait_until(lambda: self.noted(key) == value, f"{key} to be {value!r}")

    def release(self, key: str) -> None:
        """Let the requests that wait for ``key`` go on."""
        self._ask({"ask": "release", "key": key})

    def _ask(self, question: dict[str, Any]) -> Any:
        with socket.socket(socket.AF_UNIX) as sock:
            sock.settimeout(DEADLINE_SECONDS)
            sock.connect(self._control_path)
            sock.sendall(json.dumps(question).encode())
            sock.shutdown(socket.SHUT_WR)
            with sock.makefile("rb") as answer:
                return json.loads(answer.read())

    @property
    def log(self) -> str:
        """Everything that was logged."""
        return self.log_file.read_text("utf-8") if self.log_file.exists() else ""

    @property
    def warnings(self) -> list[str]:
        """The lines that were logged as warnings or worse."""
        return [line for line in self.log.splitlines() if not line.startswith("INFO ")]

    # -- its end

    def terminate(self) -> None:
        """Ask the server to stop, and return at once."""
        self.process.send_signal(signal.SIGTERM)

    def stop(self) -> None:
        """Stop it, and keep its log in ``log_at_end``. Fails if the process did not end well."""
        if self.process.poll() is None:
            self.terminate()
        try:
            self.process.wait(DEADLINE_SECONDS)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise
        finally:
            self.log_at_end = self.log
            self._folder.cleanup()
        assert self.process.returncode == 0, self.log_at_end[-5000:]
