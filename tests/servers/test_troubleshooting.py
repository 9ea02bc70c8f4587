"""docs/troubleshooting.md: each line that it shows of a Web server's error log is provoked here."""

from __future__ import annotations

import http.client
import os
import re
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from servers import harness

from .applications import Address, Application, Bound, wait_for_socket
from .harness import REPOSITORY, PrivateRoot, Program, free_port, wait_until
from .webservers import (
    H2O,
    ApacheCGI,
    ApacheFastcgi,
    ApacheFcgid,
    ApacheProxy,
    Caddy,
    HAProxy,
    Lighttpd,
    Nginx,
    Place,
    WebServer,
)

pytestmark = pytest.mark.servers

PAGE = REPOSITORY / "docs" / "troubleshooting.md"
SERVERS: dict[str, WebServer] = {
    "nginx": Nginx(),
    "Apache, mod_proxy_fcgi": ApacheProxy(),
    "Apache, mod_fcgid": ApacheFcgid(),
    "Apache, mod_fastcgi": ApacheFastcgi(spawn=False),
    "Apache, plain CGI": ApacheCGI(),
    "lighttpd": Lighttpd(),
    "Caddy": Caddy(),
    "H2O": H2O(),
    "HAProxy": HAProxy(),
}
STARTERS = {
    **SERVERS,
    "Apache, mod_fastcgi": ApacheFastcgi(),
    "lighttpd": Lighttpd(spawn=True),
}
"""The same where it is the Web server that starts the script."""

SCRIPT = """\
#!/usr/bin/env python3
def application(environ, start_response):
    {body}
    start_response("200 OK", headers)
    return [b"hello world"]


if __name__ == "__main__":
    import gfcgi

    gfcgi.run(application)
"""
WELL = SCRIPT.format(body="headers = []")
SILENT = SCRIPT.format(body="import time; time.sleep(20); headers = []")
DIES = SCRIPT.format(body="import os; os._exit(1)")
MANY_HEADERS = SCRIPT.format(body='headers = [(f"X-{i}", "x" * 1000) for i in range(40)]')

ROW = re.compile(
    r"^\| (?P<server>[^|]+) \| (?P<status>\d+(?:, \d+)*) \| `(?P<line>[^`]+)` \|$", re.MULTILINE
)


@dataclass(frozen=True)
class Row:
    """One line of an error log, as the page has it."""

    #: What the client may get; more than one where it is a matter of time.
    statuses: frozenset[int]
    line: str

    def pattern(self) -> re.Pattern[str]:
        return re.compile(".*".join(map(re.escape, self.line.split("…"))))


def rows() -> dict[tuple[str, str], list[Row]]:
    """The page's rows by section and Web server."""
    found: dict[tuple[str, str], list[Row]] = {}
    title, *sections = re.split(r"^## (.*)$", PAGE.read_text("utf-8"), flags=re.MULTILINE)
    assert title.startswith("# Troubleshooting")
    for section, text in zip(sections[::2], sections[1::2], strict=True):
        for row in ROW.finditer(text):
            found.setdefault((section, row["server"]), []).append(
                Row(frozenset(map(int, row["status"].split(", "))), row["line"])
            )
    return found


@dataclass(frozen=True)
class Edited(Place):
    """A place whose printed configuration a person has changed: each old text for a new one."""

    changes: tuple[tuple[str, str], ...] = ()

    def printed(self, server: str, **asked: Any) -> str:
        text = super().printed(server, **asked)
        for old, new in self.changes:
            assert old in text
            text = text.replace(old, new)
        return text


Prepare = Callable[[PrivateRoot, Path, Address], None]


@dataclass
class Fault:
    """What is wrong, and how it is asked for."""

    script: str = WELL
    #: None: an application that the Web server starts.
    application: Application | None = field(
        default_factory=lambda: Bound(arguments=("--graceful-timeout-seconds", "0.1"))
    )
    starts: bool = True
    prepare: Prepare | None = None
    changes: tuple[tuple[str, str], ...] = ()
    body: bytes | None = None
    #: So many requests more, until the line is there.
    again: int = 0
    #: The Web server may refuse to start, and end.
    may_end: bool = False


@dataclass
class Case:
    """A Web server with a fault, running."""

    root: PrivateRoot
    port: int
    script: Path
    server: Program

    def ask(self, body: bytes | None = None) -> int:
        client = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        try:
            client.request("GET" if body is None else "POST", "/app/", body)
            return client.getresponse().status
        finally:
            client.close()


@contextmanager
def running(server: WebServer, fault: Fault) -> Iterator[Case]:
    root = PrivateRoot()
    programs: list[Program] = []
    try:
        source = root.write("conf/source.fcgi", fault.script)
        script = root.script(source, "hello.fcgi")
        application = fault.application or Application()
        address = application.address(root)
        port = free_port()
        place = Edited(root, port, "/app", script, address, fault.changes)
        if fault.starts:
            started = application.start(root, script, address)
            if started is not None:
                programs.append(started)
                wait_for_socket(started, address)
        if fault.prepare is not None:
            fault.prepare(root, script, address)
        with pytest.MonkeyPatch.context() as patch:
            if fault.prepare in (close_socket, not_executable):
                without_capabilities(patch)
            program = Program(root, "webserver", server.command(place), server.environment())
        programs.insert(0, program)
        wait_until(lambda: program.exited() or connects(port), "the Web server to listen")
        assert fault.may_end or not program.exited(), root.read_logs()
        yield Case(root, port, script, program)
    finally:
        for number, program in enumerate(programs):
            if number == 0:
                program.stop(server.stop_signal)
            else:
                program.stop()
        root.remove()


def connects(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), 1).close()
    except OSError:
        return False
    return True


def close_socket(root: PrivateRoot, script: Path, address: Address) -> None:
    path = Path(address.path)
    path.chmod(0)
    if os.getuid() == 0:
        os.chown(path, 0, 0)


def carriage_returns(root: PrivateRoot, script: Path, address: Address) -> None:
    script.write_bytes(script.read_bytes().replace(b"\n", b"\r\n"))


def not_executable(root: PrivateRoot, script: Path, address: Address) -> None:
    script.chmod(0o644)


def first_line(line: str) -> Prepare:
    def prepare(root: PrivateRoot, script: Path, address: Address) -> None:
        rest = script.read_text().partition("\n")[2]
        script.write_text(f"{line}\n{rest}")

    return prepare


SHORT = {
    "nginx": (("300s", "1s"),),
    "Apache, mod_proxy_fcgi": (("timeout=300", "timeout=1"),),
    "Apache, mod_fcgid": (("FcgidIOTimeout 300", "FcgidIOTimeout 1"),),
    "Apache, mod_fastcgi": (("-idle-timeout 60", "-idle-timeout 1"),),
    "Caddy": (("300s", "1s"),),
    "H2O": (("300000", "1000"),),
    "HAProxy": (("300s", "1s"),),
}
SMALL = {
    "nginx": (("client_max_body_size 1g", "client_max_body_size 1k"),),
    "Apache, mod_fcgid": (("1073741824", "1024"),),
}
QUICK = (("-idle-timeout 60", "-idle-timeout 8"),)


def fault(section: str, server: str) -> tuple[WebServer, Fault]:
    """The fault that a section is about, at one Web server."""
    starts_it = server in ("Apache, mod_fcgid", "Apache, plain CGI")
    own = {"application": None} if starts_it else {}
    webserver = SERVERS[server]
    if section == "Nobody listens":
        return webserver, Fault(starts=False)
    if section == "The socket is closed to the Web server":
        return webserver, Fault(prepare=close_socket)
    if section == "The application is silent for too long":
        return webserver, Fault(SILENT, changes=SHORT[server], **own)
    if section == "The header block is too big":
        return webserver, Fault(MANY_HEADERS)
    if section == "The upload is too large":
        return webserver, Fault(body=b"x" * 300_000, changes=SMALL[server], **own)
    if section == "The process ends in the middle of a request":
        return webserver, Fault(DIES, **own)
    changes = QUICK if server == "Apache, mod_fastcgi" else ()
    if section == "The script does not start":
        if server == "lighttpd":  # which may notice it before it serves anybody
            return STARTERS[server], Fault(application=None, prepare=not_executable, may_end=True)
        wrong = carriage_returns
        return STARTERS[server], Fault(application=None, prepare=wrong, changes=changes)
    assert section == "mod_fastcgi has stopped trying"
    dies = first_line("#!/bin/false")
    return STARTERS[server], Fault(application=None, prepare=dies, changes=changes, again=4)


def without_capabilities(monkeypatch: pytest.MonkeyPatch) -> None:
    """As in real life, have the rights of files hold for the Web server, where we are root.

    Not for the application, whose Python may be in somebody's private home.
    """
    prefix = [word for word in harness.unprivileged() if "caps" not in word]
    monkeypatch.setattr(harness, "unprivileged", lambda: prefix)


@pytest.mark.parametrize(("section", "server"), rows())
def test_a_web_servers_log_has_the_line_that_the_page_shows(section: str, server: str) -> None:
    expected = rows()[section, server]
    webserver, wrong = fault(section, server)
    with running(webserver, wrong) as case:
        allowed = frozenset[int]().union(*(row.statuses for row in expected))
        try:
            assert {case.ask(wrong.body) for _ in range(1 + wrong.again)} <= allowed
        except OSError:
            assert wrong.may_end

        def missing() -> list[str]:
            logs = case.root.read_logs()
            return [row.line for row in expected if not row.pattern().search(logs)]

        try:
            wait_until(lambda: not missing(), "the lines")
        except AssertionError:
            pytest.fail(f"{missing()} not in\n{case.root.read_logs()}")


@pytest.mark.parametrize(
    "wrong",
    [
        not_executable,
        carriage_returns,
        first_line("#!/nowhere/python"),
        first_line("#!/bin/false"),
    ],
    ids=["no x bit", "CRLF", "no such Python", "ends at once"],
)
def test_mod_fcgid_says_the_same_two_lines_whatever_is_wrong(wrong: Prepare) -> None:
    expected = rows()["The script does not start", "Apache, mod_fcgid"]
    with running(ApacheFcgid(), Fault(application=None, prepare=wrong)) as case:
        assert case.ask() == 500
        wait_until(
            lambda: all(row.pattern().search(case.root.read_logs()) for row in expected),
            "both lines",
        )


def test_a_graceful_restart_cures_what_mod_fastcgi_has_given_up() -> None:
    """docs/troubleshooting.md, "mod_fastcgi has stopped trying"."""
    section, server = "mod_fastcgi has stopped trying", "Apache, mod_fastcgi"
    (expected,) = rows()[section, server]
    webserver, wrong = fault(section, server)
    with running(webserver, wrong) as case:
        good = "#!" + harness.sys.executable
        wait_until(
            lambda: case.ask() == 500 and expected.pattern().search(case.root.read_logs()),
            "the module to give up",
            120.0,
        )
        first_line(good)(case.root, case.script, Address())
        began = time.monotonic()
        assert case.ask() == 500  # mended, and still not started
        assert time.monotonic() - began > 2
        case.server.send_signal(webserver.reload_signal or webserver.stop_signal)
        wait_until(lambda: case.ask() == 200, "the script to be started")
