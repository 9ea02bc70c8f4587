"""New versions of a script behind real Web servers: no request is lost, a broken one is a page."""

from __future__ import annotations

import os
import re
import signal
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from .applications import Address, Application, Bound, SpawnFcgi
from .columns import Column
from .exchange import HTTPClient, raw_socket
from .harness import PrivateRoot, Program, need, python_environment, wait_until
from .site import Site
from .webservers import ApacheFastcgi, ApacheFcgid, ApacheProxy, Nginx, Place

if TYPE_CHECKING:
    from typing_extensions import Self

pytestmark = pytest.mark.servers

SECONDS = float(os.environ.get("GFCGI_RENEWAL_SECONDS") or 8)
"""How long the longest test here renews a process under load, at least."""
AT_ONCE_SECONDS = 10.0
"""What takes a fraction of a second takes less than this on a machine that has much else to do."""
SOON_SECONDS = 40.0
"""The same of what takes less than 5 seconds, and is nearer to that than to a back-off."""

SCRIPT = """\
#!/usr/bin/python3
import os, time
import beside
kept = []
def application(environ, start_response):
    if environ["PATH_INFO"] == "/slow":
        time.sleep(0.2)
    elif environ["PATH_INFO"] == "/leak":
        kept.append(b"x" * 20_000_000)
    body = f"{VERSION} {beside.VERSION} {os.getpid()}".encode()
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", str(len(body)))])
    return [body]
VERSION = "one"
if __name__ == "__main__":
    import gfcgi
    gfcgi.run(application)
"""

PROGRAM = """\
import sys
from gfcgi.commands import main
sys.exit(main())
"""
"""What pip installs as bin/gfcgi, for this Python."""


FEW_THREADS = """\
LogLevel warn
ThreadsPerChild 16
MaxRequestWorkers 32
LoadModule status_module {}
<Location /server-status>
    SetHandler server-status
</Location>
"""
"""Behind the others, which it overrules. Fewer threads than clients give up in a test."""


@dataclass(frozen=True)
class FewThreadsFcgid(ApacheFcgid):
    """mod_fcgid as its configuration is printed, in an Apache that says what its threads do."""

    def application(self, place: Place) -> str:
        return f"{super().application(place)}\n{FEW_THREADS.format(self._module('status'))}"


@dataclass(frozen=True)
class FewThreadsFastcgi(ApacheFastcgi):
    """mod_fastcgi likewise."""

    def application(self, place: Place) -> str:
        return f"{super().application(place)}\n{FEW_THREADS.format(self._module('status'))}"


RELOAD = {"GFCGI_RELOAD": "1"}


@dataclass(frozen=True)
class ReloadingSpawnFcgi(SpawnFcgi):
    """spawn-fcgi, which leaves the environment as it is."""

    def start(self, root: PrivateRoot, script: Path, address: Address) -> Program:
        command = self.command(script, address)
        return Program(root, "application", command, python_environment() | RELOAD)


@dataclass(frozen=True)
class SocketActivated(Bound):
    """A socket that systemd holds, handed over in LISTEN_FDS."""

    def command(self, script: Path, address: Address) -> list[str]:
        environment = python_environment() | RELOAD
        return [
            *[need("systemd-socket-activate"), "-l", str(address)],
            *[f"--setenv={name}={value}" for name, value in environment.items()],
            *[sys.executable, "-m", "gfcgi", str(script), *self.arguments],
        ]


@dataclass(frozen=True)
class Supervised(Application):
    """A supervisor holds the socket, and starts the process again whenever it ends."""

    arguments: tuple[str, ...] = ()

    def command(self, script: Path, address: Address) -> list[str]:
        serve = [sys.executable, "-m", "gfcgi", str(script), *self.arguments]
        return [sys.executable, "-c", SUPERVISOR, address.path, *serve]


SUPERVISOR = """\
import signal, socket, subprocess, sys
stopped, process = [], None
def stop(number, frame):
    stopped.append(number)
    if process is not None:
        process.terminate()
signal.signal(signal.SIGTERM, stop)
with socket.socket(socket.AF_UNIX) as listener:
    listener.bind(sys.argv[1])
    listener.listen(2048)
    while not stopped:
        process = subprocess.Popen(sys.argv[2:], stdin=listener)
        process.wait()
"""

APACHE = [
    Column("mod_fcgid", FewThreadsFcgid(), Application()),
    Column("mod_fastcgi", FewThreadsFastcgi(), Application()),
]
WAYS = [
    Column("mod_fcgid", FewThreadsFcgid(processes=1), Application()),
    APACHE[1],
    Column("nginx-spawn-fcgi", Nginx(), ReloadingSpawnFcgi()),
    Column("nginx-bind", Nginx(), Bound(arguments=("--reload",))),
    Column("nginx-socket-activate", Nginx(), SocketActivated()),
]
SIGNALLED = [
    Column("nginx-keep-conn", Nginx(keep_conn=True), Bound()),
    Column("apache-proxy", ApacheProxy(), Bound()),
]


class RenewableSite(Site):
    """The script, with what it imports beside it, and by its first line run by bin/gfcgi."""

    broken = False
    """Whether the script is so at the start."""

    def place_script(self) -> Path:
        self.module = self.root.write("www/beside.py", "VERSION = 'one'\n")
        program = self.root.write("run/gfcgi", f"#!{sys.executable}\n{PROGRAM}", 0o755)
        text = self.source.read_text()
        self.text = text.replace(text.partition("\n")[0], f"#!{program}", 1)
        self.script = self.root.path / "www" / self.source.name
        self.typo = self.text.replace('VERSION = "one"', 'VERSION = "one')
        self.write(self.script, self.typo if self.broken else self.text)
        return self.script

    def _ready_or_dead(self) -> bool:
        try:
            return super()._ready_or_dead() or (self.broken and self.get("/").status == 500)
        except OSError:
            return False

    def write(self, path: Path, text: str) -> None:
        """Write the script or its module in place."""
        path.write_text(text)
        self.root.give(path, 0o755)

    def replace(self, path: Path, text: str) -> None:
        """Write a new file, which then gets the name of the script or of its module."""
        new = path.with_name("new")
        self.write(new, text)
        os.replace(new, path)

    def said(self, text: str) -> int:
        """How often one of the logs has this."""
        return (self.error_log() + self.application_log()).count(text)

    def renewals(self) -> tuple[Counter[str], int]:
        """How often each process has been renewed, by its pid, and how many of these only begin."""
        log = self.error_log() + self.application_log()
        serving = Counter(re.findall(r" serves .*, process (\d+)", log))
        begun = Counter(re.findall(r"gfcgi\[(\d+)\] INFO: renewing ", log))
        return Counter({pid: begun[pid] for pid in serving}), sum(
            (begun + Counter(list(serving)) - serving).values()
        )

    def all_renewed(self, before: Counter[str]) -> bool:
        """Whether every process has been renewed since then, and none is about to be.

        A change that comes while a process is being renewed is in that version, or is followed by
        a further one: so each has begun one after the change, whatever it is named for.
        """
        now, unfinished = self.renewals()
        return not unfinished and all(now[pid] > count for pid, count in before.items())


def started(column: Column, tmp_path: Path, *, broken: bool = False) -> Iterator[RenewableSite]:
    script = tmp_path / "site.fcgi"
    script.write_text(SCRIPT)
    site = RenewableSite(column, script, ready="/")
    site.broken = broken
    with site.running():
        yield site


@pytest.fixture(params=WAYS, ids=str)
def site(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[RenewableSite]:
    yield from started(request.param, tmp_path)


class Load:
    """Clients that ask again and again; every answer must be 200."""

    def __init__(self, site: Site, paths: Sequence[str] = ("/slow", "/", "/", "/")) -> None:
        self._site = site
        self._stop = threading.Event()
        self.replies: list[bytes] = []
        self.failures: list[object] = []
        self._threads = [threading.Thread(target=self._ask, args=(path,)) for path in paths]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join(60)
        assert self.failures == [], self._site.root.read_logs()

    def _ask(self, path: str) -> None:
        while not self._stop.is_set():
            try:
                reply = self._site.get(path)
            except Exception as error:
                self.failures.append(error)
                return
            if reply.status != 200:
                self.failures.append((reply.status, reply.body))
                return
            self.replies.append(reply.body)
            time.sleep(0.005)  # the rest of the machine has something to do as well

    def until(self, version: bytes, what: str = "") -> None:
        """Wait until every answer is of this version. ``what`` brought it just now."""
        began = time.monotonic()
        seen = len(self.replies)

        def answered() -> bool:
            latest = self.replies[seen:][-10:]
            return bool(self.failures) or (
                len(latest) == 10 and all(reply.startswith(version) for reply in latest)
            )

        wait_until(answered, f"version {version!r}", SOON_SECONDS, pause=0.05)
        assert self.failures == [], self._site.root.read_logs()
        if what:
            print(f"{self._site.column}: {what}: {time.monotonic() - began:.1f} s")


def test_new_versions_come_under_load_and_no_request_is_lost(site: RenewableSite) -> None:
    """Written in place, replaced, restart.txt touched; a broken one; the repair."""
    two = site.text.replace('"one"', '"two"')
    with Load(site) as load:
        load.until(b"one one ")
        site.write(site.script, two)
        load.until(b"two one ", "the script written in place")
        site.write(site.module, "VERSION = 'six'\n")
        load.until(b"two six ", "the module written in place")
        site.replace(site.script, two.replace('"two"', '"three"'))
        site.replace(site.module, "VERSION = 'ten'\n")
        load.until(b"three ten ", "both replaced")
        renewals, _ = site.renewals()
        site.root.write("www/restart.txt", "")
        wait_until(lambda: site.all_renewed(renewals), "the renewal for restart.txt")
        site.replace(site.script, site.typo)
        wait_until(lambda: site.said("SyntaxError"), "the line about the fault")
        load.until(b"three ten ")
        site.write(site.script, two)
        load.until(b"two ten ", "the repair")


@pytest.fixture(params=APACHE, ids=str)
def broken_site(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[RenewableSite]:
    """Apache, started with a script that has a typo."""
    yield from started(request.param, tmp_path, broken=True)


def busy_threads(site: Site) -> int:
    """How many of Apache's threads have a request, beside the one that is asked for that."""
    with HTTPClient(site.port, SOON_SECONDS) as client:  # it may wait for a thread itself
        text = client.request("GET", "/server-status?auto").body.decode()
    found = re.search(r"^BusyWorkers: (\d+)$", text, re.MULTILINE)
    assert found is not None, text
    return int(found[1]) - 1


def test_a_typo_is_a_page_at_once_while_it_lasts_and_no_longer(broken_site: RenewableSite) -> None:
    """And not an outage of ten minutes, which holds all the threads of Apache."""
    site = broken_site
    times = []
    until = time.monotonic() + SECONDS / 3
    while time.monotonic() < until or len(times) < 5:
        began = time.monotonic()
        reply = site.get("/")
        times.append(time.monotonic() - began)
        assert reply.status == 500
        assert b"could not be started" in reply.body
        time.sleep(0.1)
    assert max(times) < AT_ONCE_SECONDS
    log = site.error_log()
    assert log.count("SyntaxError: ") == 1, log
    assert len(log.splitlines()) < 20, log

    for _ in range(70):  # clients that ask and do not wait
        with raw_socket(site.port) as client:
            client.sendall(b"GET %s/ HTTP/1.1\r\nHost: localhost\r\n\r\n" % site.mount.encode())
    began = time.monotonic()
    wait_until(lambda: busy_threads(site) == 0, "Apache's threads", SOON_SECONDS)
    held = time.monotonic() - began
    site.root.write("www/plain.txt", "plain")
    with HTTPClient(site.port, AT_ONCE_SECONDS) as client:
        assert client.request("GET", "/plain.txt").body == b"plain"

    site.write(site.script, site.text)
    began = time.monotonic()
    wait_until(lambda: site.get("/").status == 200, "the repaired version", SOON_SECONDS)
    repaired = time.monotonic() - began
    assert "backed off" not in site.error_log()
    print(
        f"{site.column}: {len(times)} pages, the slowest after {max(times):.2f} s;"
        f" {len(log.splitlines())} lines in the error log; all threads free after {held:.1f} s;"
        f" repaired after {repaired:.1f} s"
    )


@pytest.mark.parametrize("column", SIGNALLED, ids=str)
def test_sighup_loses_no_request(column: Column, tmp_path: Path) -> None:
    for site in started(column, tmp_path):
        with Load(site) as load:
            pid = int(site.get("/").body.split()[-1])
            for count in (2, 3):
                os.kill(pid, signal.SIGHUP)
                wait_until(lambda: site.said(" serves ") == count, "the renewal")  # noqa: B023
            load.until(b"one one %d" % pid)


def test_what_is_printed_and_one_traceback_are_in_apaches_error_log(tmp_path: Path) -> None:
    """Under mod_fcgid standard output, standard error and FCGI_STDERR are all one file."""
    script = tmp_path / "site.fcgi"
    script.write_text(
        SCRIPT.replace("time.sleep(0.2)", 'print("printed"); raise ValueError("once")')
    )
    site = RenewableSite(APACHE[0], script, ready="/")
    with site.running():
        assert site.get("/slow").status == 500
        wait_until(lambda: "printed" in site.error_log(), "what is printed")
        wait_until(lambda: "the application failed" in site.error_log(), "the line of the log")
        wait_until(lambda: "ValueError: once" in site.error_log(), "the traceback")
        assert site.error_log().count("ValueError: once") == 1


RETIRE = ("--max-requests", "150")
RETIRING = [
    Column("nginx-keep-conn", Nginx(keep_conn=True), Bound(arguments=RETIRE)),
    Column("nginx-socket-activate", Nginx(), SocketActivated(arguments=RETIRE)),
]


@pytest.mark.parametrize("column", RETIRING, ids=str)
def test_a_process_that_retires_again_and_again_loses_no_request(
    column: Column, tmp_path: Path
) -> None:
    for site in started(column, tmp_path):
        with Load(site):
            wait_until(lambda: site.said("INFO: renewing ") >= 3, "three renewals")  # noqa: B023


EVENTS = {
    "SIGHUP": "renewing the process: SIGHUP",
    "requests": "renewing the process: it has answered ",
    "memory": "renewing the process: it takes ",
    "SIGTERM": "stopped by SIGTERM",
}


def test_nothing_is_lost_whatever_happens_to_the_process(tmp_path: Path) -> None:
    """Signals, retirement and restarts again and again, on a socket that a supervisor holds."""
    bounds = ("--max-requests", "800", "--max-memory-bytes", "200000000")
    column = Column("nginx-supervisor", Nginx(), Supervised(arguments=bounds))
    for site in started(column, tmp_path):
        with Load(site, ["/slow", *["/"] * 6]) as load:
            until = time.monotonic() + SECONDS
            at_the_latest = until + 120
            turn = 0
            while time.monotonic() < until or not all(map(site.said, EVENTS.values())):
                assert time.monotonic() < at_the_latest, site.application_log()
                assert not load.failures, load.failures
                turn += 1
                pids = re.findall(r" serves .*, process (\d+)", site.application_log())
                if turn % 4 == 1:
                    os.kill(int(pids[-1]), signal.SIGHUP)
                elif turn % 4 == 2:
                    os.kill(int(pids[-1]), signal.SIGTERM)
                elif turn % 4 == 3:
                    for _ in range(10):
                        assert site.get("/leak").status == 200
                # Without any of these it has answered its requests some time.
                wait_until(lambda: site.said(" serves ") > len(pids), "the next process")  # noqa: B023
            load.until(b"one one ")
        counts = ", ".join(f"{name} {site.said(text)}" for name, text in EVENTS.items())
        print(f"{len(load.replies)} requests, {len(load.failures)} failed: {counts}")
