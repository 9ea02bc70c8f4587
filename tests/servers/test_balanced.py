"""Three processes on three addresses behind one Web server: restarted one by one, and killed."""

from __future__ import annotations

import http.client
import itertools
import json
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import webserver_side as wire

from .applications import Address, Bound
from .exchange import HTTPClient
from .harness import (
    PrivateRoot,
    Program,
    free_port,
    python_environment,
    wait_until,
)
from .webservers import ApacheProxy, Caddy, HAProxy, Nginx, Place, WebServer

pytestmark = pytest.mark.servers

SERVERS: dict[str, WebServer] = {
    "nginx": Nginx(keep_conn=True),
    "haproxy": HAProxy(),
    "apache-proxy": ApacheProxy(
        modules=("proxy", "proxy_fcgi", "slotmem_shm", "proxy_balancer", "lbmethod_byrequests"),
        reuse=True,
    ),
    "caddy": Caddy(),
}
CLIENTS = 4
OPTIONS = ("--ping-path", "/gfcgi-ping", "--status-path", "/gfcgi-status")

SCRIPT = """\
#!/usr/bin/env python3
import os
import time

STATE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "state", "begun")


def application(environ, start_response):
    environ["wsgi.input"].read()
    with open(STATE, "a") as begun:
        begun.write(f"{environ['QUERY_STRING']} {os.getpid()}\\n")
    time.sleep(0.02)
    start_response("200 OK", [("Content-Type", "text/plain")])
    paths = environ["SCRIPT_NAME"], environ["PATH_INFO"]
    return [f"{os.getpid()} {' '.join(paths)}".encode()]


if __name__ == "__main__":
    import gfcgi

    gfcgi.run(application)
"""


@dataclass
class Load:
    """Clients that ask without a pause, with one method after the other."""

    port: int
    methods: tuple[str, ...]
    failed: dict[str, str] = field(default_factory=dict)
    answered: list[int] = field(default_factory=list)
    _stop: threading.Event = field(default_factory=threading.Event)

    @contextmanager
    def running(self) -> Iterator[None]:
        threads = [threading.Thread(target=self._ask, args=(n,)) for n in range(CLIENTS)]
        for thread in threads:
            thread.start()
        try:
            yield
        finally:
            self._stop.set()
            for thread in threads:
                thread.join()

    def _ask(self, client: int) -> None:
        number = 0
        while not self._stop.is_set():
            number += 1
            name = f"{client}-{number}"
            try:
                with HTTPClient(self.port) as connection:
                    method = self.methods[number % len(self.methods)]
                    body = b"x" * 100 if method == "POST" else None
                    reply = connection.request(method, f"/app/x?{name}", body)
            except (OSError, http.client.HTTPException) as error:
                self.failed[name] = repr(error)
                continue
            said = reply.body.decode(errors="replace").split()
            if reply.status == 200 and said[1:] == ["/app", "/x"]:
                self.answered.append(int(said[0]))
            else:
                self.failed[name] = f"{method} {reply.status} {reply.body[:200]!r}"

    def wait_for(self, count: int) -> None:
        """Until so many more are answered."""
        until = len(self.answered) + count
        wait_until(lambda: len(self.answered) >= until, f"{count} answers")


def listens(address: Address) -> bool:
    host, _, port = str(address).partition(":")
    wanted = "".join(f"{int(part):02X}" for part in reversed(host.split("."))) + f":{int(port):04X}"
    rows = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    return any(row[1] == wanted and row[3] == "0A" for row in rows)


@dataclass(frozen=True)
class Elsewhere(Address):
    """A port of another loopback address."""

    host: str = "127.0.0.1"

    def __str__(self) -> str:
        return f"{self.host}:{self.port}"


class Processes:
    """The three, by their addresses."""

    def __init__(self, root: PrivateRoot, script: Path) -> None:
        self.root, self.script = root, script
        self.addresses = [Elsewhere(port=free_port(), host=f"127.0.0.{n}") for n in (1, 2, 3)]
        self.running: dict[Elsewhere, Program] = {}

    def start(self, *addresses: Elsewhere) -> None:
        """Start them at once, and wait for each."""
        for address in addresses:
            command = Bound(arguments=OPTIONS).command(self.script, address)
            name = f"application-{address.host}"
            self.running[address] = Program(self.root, name, command, python_environment())
        for address in addresses:
            self._wait_for(address)

    def _wait_for(self, address: Elsewhere) -> None:
        program = self.running[address]
        wait_until(lambda: program.exited() or listens(address), f"{address} to listen")
        assert not program.exited(), self.root.read_logs()


@pytest.fixture(params=SERVERS)
def balanced(request: pytest.FixtureRequest) -> Iterator[tuple[Processes, Load]]:
    """The three processes, and clients of the Web server in front of them."""
    server = SERVERS[request.param]
    root = PrivateRoot()
    processes = Processes(root, root.script(root.write("conf/source.fcgi", SCRIPT), "app.fcgi"))
    webserver = None
    try:
        processes.start(*processes.addresses)
        port = free_port()
        asked = {"bind": [str(address) for address in processes.addresses]}
        place = Place(root, port, "/app", processes.script, processes.addresses[0], asked=asked)
        webserver = Program(root, "webserver", server.command(place), server.environment())
        wait_until(lambda: webserver.exited() or answers(port), "the Web server", pause=0.05)
        assert not webserver.exited(), root.read_logs()
        # Caddy sends a POST to no other process, even if it could not connect.
        methods = ("GET",) if request.param == "caddy" else ("GET", "POST")
        yield processes, Load(port, methods)
    finally:
        faults = webserver.stop(server.stop_signal) if webserver else []
        for program in processes.running.values():
            faults += program.stop()
        root.remove()
    assert not faults, faults


@pytest.mark.parametrize("balanced", ["haproxy"], indirect=True)
def test_health_checks_ask_for_the_ping_and_not_the_application(
    balanced: tuple[Processes, Load],
) -> None:
    processes, _ = balanced

    def ask_for_status(address: Elsewhere) -> int:
        """How many pages of gfcgi's own a process has answered, this one among them."""
        with wire.TransportConnection((address.host, address.port)) as connection:
            connection.send(wire.request(1, wire.cgi_params(path="/gfcgi-status", query="json")))
            return int(json.loads(connection.response(1).body)["all"]["own_pages"])

    for address in processes.addresses:
        asked = itertools.count(1)
        wait_until(
            lambda: ask_for_status(address) >= next(asked) + 2,  # noqa: B023 - called here
            f"two health checks of {address}",
            pause=0.2,
        )
    begun = (processes.root.path / "www/state/begun").read_text().splitlines()
    assert {line.split()[0] for line in begun} == {"ready"}


def answers(port: int) -> bool:
    try:
        with HTTPClient(port) as client:
            return client.request("GET", "/app/x?ready").status == 200
    except OSError:
        return False


def test_rolling_restart_costs_no_request_and_a_kill_those_in_it(
    balanced: tuple[Processes, Load],
) -> None:
    processes, load = balanced
    with load.running():
        load.wait_for(60)
        first = {program.pid for program in processes.running.values()}
        assert set(load.answered) == first, "each has its share"
        for address in processes.addresses:
            assert not processes.running[address].stop()
            load.wait_for(20)
            processes.start(address)
            load.wait_for(20)
        assert load.failed == {}, processes.root.read_logs()

        killed = processes.running[processes.addresses[1]]
        killed.send_signal(signal.SIGKILL)
        killed.process.wait()
        load.wait_for(60)
    begun = (processes.root.path / "www/state/begun").read_text().splitlines()
    elsewhere = {line.split()[0] for line in begun if line.split()[1] != str(killed.pid)}
    assert len(load.failed) <= CLIENTS, (load.failed, processes.root.read_logs())
    assert not load.failed.keys() & elsewhere, "not in flight at the killed one"
    assert killed.pid not in load.answered[-20:]
