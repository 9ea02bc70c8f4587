"""Real processes: started, waited for by what they log, and ended by their pid."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from webserver_side import TransportConnection, cgi_params, request

DEADLINE_SECONDS = 60.0

HELLO = """\
def application(environ, start_response):
    body = '<html><body><h2>hello world</h2></body></html>'
    headers = [('Content-Type', 'text/html'), ('Content-Length', str(len(body)))]
    start_response('200 OK', headers)
    return [body]
if __name__ == '__main__':
    import gfcgi
    gfcgi.run(application)
"""

# Says that it was called, and answers when a file named after the request's path appears.
WAITING = """\
import os, sys, time
def application(environ, start_response):
    sys.stderr.write('called ' + environ['PATH_INFO'] + '\\n')
    sys.stderr.flush()
    while not os.path.exists('.' + environ['PATH_INFO']):
        time.sleep(0.01)
    start_response('200 OK', [('Content-Type', 'text/plain')])
    return [b'finished']
"""


APACHE = """\
import subprocess, sys
status = subprocess.call(sys.argv[1:], stdin=0)
sys.exit(128 - status if status < 0 else status)
"""


class Process:
    """A process under test; its standard error is a file, as under Apache."""

    def __init__(self, arguments: list[str], directory: Path, **settings: object) -> None:
        self.directory = directory
        self.error_log = directory / f"error-{len(list(directory.glob('error-*')))}.log"
        settings.setdefault("stdin", subprocess.DEVNULL)
        settings.setdefault("stdout", subprocess.PIPE)
        with open(self.error_log, "wb") as log:
            self.popen = subprocess.Popen(
                [sys.executable, *arguments], cwd=directory, stderr=log, **settings
            )
        self.pid = self.popen.pid

    def log(self) -> str:
        return self.error_log.read_text("utf-8", "replace")

    def until(self, condition: Callable[[], object]) -> None:
        """Wait for something to be so, at the latest when the process ends."""
        deadline = time.monotonic() + DEADLINE_SECONDS
        while True:
            ended = self.popen.poll()
            if condition():
                return
            assert ended is None, f"ended with {ended}: {self.log()}"
            assert time.monotonic() < deadline, self.log()
            time.sleep(0.02)

    def until_logged(self, pattern: str) -> re.Match[str]:
        """Wait for a line of the log."""
        self.until(lambda: re.search(pattern, self.log()))
        found = re.search(pattern, self.log())
        assert found is not None
        return found

    def until_refusing(self, path: str) -> None:
        """Wait until nobody can connect any more: it has begun to stop."""

        def refuses() -> bool:
            with socket.socket(socket.AF_UNIX) as sock:
                sock.settimeout(DEADLINE_SECONDS)
                return sock.connect_ex(path) != 0

        self.until(refuses)

    def send(self, signum: signal.Signals) -> None:
        os.kill(self.pid, signum)

    def wait(self) -> int:
        """The exit status, as a shell has it."""
        status = self.popen.wait(DEADLINE_SECONDS)
        return 128 - status if status < 0 else status

    def end(self) -> None:
        """End it at once, but so that it cleans up after itself."""
        for signum in (signal.SIGTERM, signal.SIGINT):
            if self.popen.poll() is None:
                self.send(signum)
        try:
            self.popen.wait(10)
        except subprocess.TimeoutExpired:
            self.popen.kill()
            self.popen.wait(DEADLINE_SECONDS)
        if self.popen.stdout is not None:
            self.popen.stdout.close()


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., Process]]:
    """Start Python with some arguments in the test's directory."""
    started: list[Process] = []

    def start(*arguments: str, **settings: object) -> Process:
        started.append(Process([str(a) for a in arguments], tmp_path, **settings))
        return started[-1]

    yield start
    for process in started:
        process.end()


@pytest.fixture
def start_by_apache(start: Callable[..., Process], tmp_path: Path) -> Callable[..., Process]:
    """Start Python from a process that is called as Apache's are, and has a group of its own."""
    apache = tmp_path / "apache2"
    apache.symlink_to(os.path.realpath(sys.executable))

    def start_by_apache(*arguments: str, **settings: object) -> Process:
        process = start(
            "-c",
            "import os, sys; os.setpgid(0, 0); os.execv(sys.argv[1], sys.argv[1:])",
            *[apache, "-c", APACHE, sys.executable, *arguments],
            **settings,
        )
        process.pid = int(process.until_logged(r" serves .*, process (\d+)")[1])
        return process

    return start_by_apache


@pytest.fixture
def hello(tmp_path: Path) -> Path:
    script = tmp_path / "hello.fcgi"
    script.write_text(HELLO)
    return script


@pytest.fixture
def waiting(tmp_path: Path) -> Path:
    script = tmp_path / "waiting.py"
    script.write_text(WAITING)
    return script


@pytest.fixture
def ask() -> Iterator[Callable[..., TransportConnection]]:
    """Send a request, and give the connection that its answer comes on."""
    opened: list[TransportConnection] = []

    def ask(address: str | tuple[str, int] | socket.socket, path: str = "/") -> TransportConnection:
        opened.append(TransportConnection(address))
        opened[-1].send(request(1, cgi_params(path=path)))
        return opened[-1]

    yield ask
    for connection in opened:
        connection.close()
