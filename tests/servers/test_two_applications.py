"""Two applications of one name behind one Web server, each as ``gfcgi config`` prints it."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from gfcgi.configurations import configuration

from .applications import Address, Application, Bound, wait_for_socket
from .exchange import HTTPClient
from .harness import PrivateRoot, Program, free_port, python_environment, wait_until
from .webservers import (
    H2O,
    ApacheCGI,
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

#: It says where it lies: the two are told apart by nothing else.
SCRIPT = """\
#!/usr/bin/env python3
import os

import gfcgi

HERE = os.path.basename(os.path.dirname(os.path.abspath(__file__)))


def application(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [f"{HERE} at {environ['SCRIPT_NAME']}".encode()]


if __name__ == "__main__":
    gfcgi.run(application)
"""

SERVERS: dict[str, tuple[WebServer, Application]] = {
    "nginx": (Nginx(keep_conn=True), Bound()),
    "apache-proxy": (ApacheProxy(reuse=True), Bound()),
    "apache-fcgid": (ApacheFcgid(), Application()),
    "apache-cgi": (ApacheCGI(), Application()),
    "lighttpd": (Lighttpd(), Bound()),
    "caddy": (Caddy(), Bound()),
    "h2o": (H2O(), Bound()),
    "haproxy": (HAProxy(), Bound()),
}


@dataclass(frozen=True)
class Deployed:
    """One of the two: its directory's name, which is its mount point too, and where it is."""

    name: str
    script: Path
    address: Address
    port: int

    @property
    def host(self) -> str:
        return f"{self.name}.test"


@dataclass(frozen=True)
class TwoPlaces(Place):
    """Both configurations, one after the other, as a person would save them."""

    both: tuple[Deployed, ...] = ()

    def printed(self, server: str, **asked: Any) -> str:
        texts = []
        for deployed in self.both:
            options = dict(asked)
            if not options.get("spawn"):
                options["bind"] = deployed.address.bind
            if server == "nginx":
                options["server_name"] = deployed.host
            if server == "haproxy":
                options["listen"] = f"127.0.0.1:{deployed.port}"
            texts.append(
                configuration(
                    server,
                    str(deployed.script),
                    url=f"/{deployed.name}",
                    name=deployed.name,
                    python=sys.executable,
                    **options,
                )
            )
        return merged_by_hand(server, *texts)


def merged_by_hand(server: str, first: str, second: str) -> str:
    """H2O wants one `hosts`, and Caddy one site for an address: the second goes into the first."""
    if server == "h2o":
        end = "# The largest upload"
        entry = second[second.index('      "/') : second.index(end)]
        return first.replace(end, entry + end, 1)
    if server == "caddy":
        inner = second[second.index("{\n") + 2 : second.rindex("}")]
        return f"{first[: first.rindex('}')]}{inner}}}\n"
    return f"{first}\n{second}"


@pytest.fixture(params=SERVERS)
def answers(request: pytest.FixtureRequest) -> Iterator[dict[str, bytes]]:
    """What the Web server answers at either mount point."""
    server, application = SERVERS[request.param]
    root = PrivateRoot()
    programs = []
    try:
        deployed = []
        port = free_port()
        for name in ("one", "two"):
            root.directory(f"www/{name}")
            source = root.write(f"www/{name}/source", SCRIPT)
            script = root.script(source, f"{name}/hello.fcgi")
            address = Address(path=str(root.path / "run" / f"{name}.sock"))
            listens_at = port if name == "one" or request.param != "haproxy" else free_port()
            deployed.append(Deployed(name, script, address, listens_at))
            arguments = ("--script-name", f"/{name}") if request.param == "h2o" else ()
            command = Bound(arguments=arguments).command(script, address)
            if isinstance(application, Bound):
                programs.append(Program(root, f"application-{name}", command, python_environment()))
                wait_for_socket(programs[-1], address)
        place = TwoPlaces(root, port, "", deployed[0].script, Address(), tuple(deployed))
        programs.insert(0, Program(root, "webserver", server.command(place), server.environment()))

        def ask(one: Deployed) -> bytes:
            with HTTPClient(one.port) as client:
                host = {"Host": one.host}
                reply = client.request("GET", f"/{one.name}/x", headers=host)
            return reply.body if reply.status == 200 else b""

        def all_there() -> bool:
            assert not any(program.exited() for program in programs), root.read_logs()
            try:
                return all(ask(one) for one in deployed)
            except OSError:
                return False

        wait_until(all_there, f"both applications behind {request.param}", pause=0.1)
        yield {one.name: ask(one) for one in deployed}
        faults = [fault for program in programs for fault in program.stop()]
        assert not faults, faults
    finally:
        for program in programs:
            program.stop()
        root.remove()


def test_each_url_is_answered_by_its_own_application(answers: dict[str, bytes]) -> None:
    """Apache shares connections by the name of a worker, the others by names of sections."""
    assert answers == {"one": b"one at /one", "two": b"two at /two"}
