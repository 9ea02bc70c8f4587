"""HAProxy multiplexes for real: hundreds of requests at once on a handful of connections.

HAProxy before 3.4-dev10 answers a request with a 500 of its own where its PARAMS do not fit into
what is left of a buffer (16 KB) in which those of others wait to be sent (its issue 3346). So these
requests come in groups whose PARAMS fit, each when the application has the one before; a burst that
does not fit has a test of its own.
"""

from __future__ import annotations

import asyncio
import json
import os
import random
import signal
import threading
import time
from collections.abc import Callable, Iterator

import pytest
from running import THREADS

from gfcgi.limits import GRACEFUL_TIMEOUT_SECONDS
from gfcgi.wsgi.pages import error_page

from .applications import Bound, SpawnFcgi
from .bursts import sleepers
from .columns import Column
from .connections import established
from .exchange import Reply, raw_request
from .harness import HERE, command_line, wait_until
from .site import Site
from .webservers import HAProxy
from .webservers.haproxy import OWN_500

pytestmark = pytest.mark.servers

REQUESTS = 500
PER_CONNECTION = 100
GROUP = 8
DEADLINE_SECONDS = 120.0

#: Bytes of an upload, and of its first part: HAProxy waits for more than fits into its buffer.
UPLOAD_BYTES = 60_000
PART_BYTES = 40_000

#: What option get-values asks for (FCGI_MAX_REQS); it takes the place of option max-reqs.
LIMIT = ("--max-concurrent-requests-per-connection", str(PER_CONNECTION))

#: Where the application runs in threads, it needs one for each request that is held.
A_THREAD_EACH = ("--threads", str(REQUESTS)) if THREADS else ()


@pytest.fixture(params=[LIMIT])
def site(request: pytest.FixtureRequest) -> Iterator[Site]:
    """HAProxy with option mpxs-conns, get-values and max-reqs, before an application that waits."""
    application = Bound(tcp=True, arguments=request.param + A_THREAD_EACH)
    column = Column("haproxy-multiplex", HAProxy(multiplex=True), application)
    running = Site(column, HERE / "held.fcgi", ready="/ready")
    with running.running():
        yield running


class Held:
    """One request to /hold: a GET, an upload, or an upload that the HTTP client breaks off."""

    def __init__(self, site: Site, number: int) -> None:
        self.site = site
        self.number = number
        self.upload = number % 5 >= 3
        self.leaves = number % 5 == 4

    async def send(self) -> None:
        """Send the request; of a body only the first part."""
        opened = await asyncio.open_connection("127.0.0.1", self.site.port)
        self.reader, self.writer = opened
        line = f"{self.site.mount}/hold?number={self.number} HTTP/1.1\r\n"
        fields = "Host: localhost\r\nConnection: close\r\n"
        if self.upload:
            fields += f"Content-Length: {UPLOAD_BYTES}\r\n"
        method, part = ("POST ", b"x" * PART_BYTES) if self.upload else ("GET ", b"")
        self.writer.write((method + line + fields + "\r\n").encode() + part)
        await self.writer.drain()

    def leave(self) -> None:
        """Close the HTTP connection in mid-upload."""
        self.writer.transport.abort()

    async def finish(self) -> None:
        """Send the rest of the body and check the answer, which is this request's own."""
        length = 0
        if self.upload:
            self.writer.write(b"x" * (UPLOAD_BYTES - PART_BYTES))
            await self.writer.drain()
            length = UPLOAD_BYTES
        head, _, body = (await self.reader.read()).partition(b"\r\n\r\n")
        self.writer.close()
        assert head.split()[1:2] == [b"200"], (self.number, head)
        assert body == b"%d %d" % (self.number, length)


def counts(site: Site) -> dict[str, int]:
    """What the application has counted so far."""
    found: dict[str, int] = json.loads((site.state / "counts.json").read_bytes())
    return found


async def reach(site: Site, name: str, wanted: int) -> None:
    """Wait until the application has counted so many."""
    await asyncio.to_thread(
        wait_until, lambda: counts(site)[name] == wanted, f"{wanted} {name}", DEADLINE_SECONDS
    )


async def send_all(site: Site) -> list[Held]:
    """Send every request: GETs in groups, uploads, which fill a buffer of HAProxy, one by one."""
    requests = [Held(site, number) for number in range(REQUESTS)]
    plain = [request for request in requests if not request.upload]
    groups = [plain[at : at + GROUP] for at in range(0, len(plain), GROUP)]
    groups += [[request] for request in requests if request.upload]
    sent = 0
    for group in groups:
        await asyncio.gather(*(request.send() for request in group))
        sent += len(group)
        await reach(site, "here", sent)
    return requests


async def exchange(site: Site) -> None:
    requests = await send_all(site)
    connections = established(site.address)
    assert REQUESTS // PER_CONNECTION <= len(connections) <= 2 * REQUESTS // PER_CONNECTION
    staying = [request for request in requests if not request.leaves]
    for request in requests:
        if request.leaves:
            request.leave()
    (site.state / "open").touch()
    await reach(site, "aborted", REQUESTS - len(staying))
    await asyncio.gather(*(request.finish() for request in staying))
    assert counts(site) == {
        "here": 0,
        "most": REQUESTS,
        "whole": len(staying),
        "aborted": REQUESTS - len(staying),
    }
    # Nobody's ABORT cost another request its transport connection.
    assert established(site.address) <= connections


def test_500_requests_at_once_on_a_handful_of_connections_with_aborts_among_them(
    site: Site,
) -> None:
    asyncio.run(asyncio.wait_for(exchange(site), DEADLINE_SECONDS))
    assert "Traceback" not in site.application_log()


async def refuse_the_ninth(site: Site) -> None:
    requests = [Held(site, 5 * number) for number in range(GROUP)]
    await asyncio.gather(*(request.send() for request in requests))
    await reach(site, "here", GROUP)
    assert len(established(site.address)) == 1
    reply = await asyncio.to_thread(site.get, "/ready")
    assert reply.status == 503
    (site.state / "open").touch()
    await asyncio.gather(*(request.finish() for request in requests))
    assert site.get("/ready").status == 200


@pytest.mark.parametrize(
    "site",
    [("--max-concurrent-requests", str(GROUP), "--queue-timeout-seconds", "0")],
    indirect=True,
)
def test_a_request_too_many_gets_503_and_costs_the_others_nothing(site: Site) -> None:
    asyncio.run(asyncio.wait_for(refuse_the_ninth(site), DEADLINE_SECONDS))


def test_what_haproxy_refuses_of_a_burst_costs_the_others_nothing() -> None:
    """The application stands still while they come, so that they pile up in HAProxy's buffer."""
    site = Site(Column("haproxy-multiplex", HAProxy(multiplex=True)))
    with site.running():
        assert site.application is not None
        site.application.send_signal(signal.SIGSTOP)
        threading.Timer(0.5, site.application.send_signal, [signal.SIGCONT]).start()
        together = THREADS or 200
        answers, _ = sleepers(site, 200, f"expect={together}&seconds=0.05")
        assert {answer["peak"] for answer in answers} == {together}
        assert "Traceback" not in site.application_log()


class Steady:
    """Clients that ask again as soon as they are answered, with a long Cookie each."""

    CLIENTS = 150
    SECONDS = 5.0

    def __init__(
        self, site: Site, path: Callable[[], str] = lambda: "/busy", clients: int = CLIENTS
    ) -> None:
        self.site = site
        self.path = path
        self.clients = clients
        self.statuses: dict[str, int] = {}
        self.enough = False

    async def ask(self) -> None:
        """One GET; counts its status, HAProxy's own refusal apart."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.site.port)
        fields = f"Host: localhost\r\nConnection: close\r\nCookie: {'c' * 800}\r\n"
        writer.write(f"GET {self.site.mount}{self.path()} HTTP/1.1\r\n{fields}\r\n".encode())
        head, _, body = (await reader.read()).partition(b"\r\n\r\n")
        writer.close()
        status = head.split()[1].decode() if head else "nothing"
        own = status == "500" and body == OWN_500
        self.statuses["refused" if own else status] = (
            self.statuses.get("refused" if own else status, 0) + 1
        )

    async def run(self) -> None:
        loop = asyncio.get_running_loop()
        until = loop.time() + self.SECONDS

        async def client() -> None:
            while loop.time() < until and not self.enough:
                await self.ask()

        await asyncio.gather(*(client() for _ in range(self.clients)))


@pytest.mark.parametrize("site", [("--params-timeout-seconds", "0.5")], indirect=True)
def test_no_request_is_late_because_its_connection_is_busy(site: Site) -> None:
    """What is read ends within a record nearly always; but no PARAMS take long to be complete."""
    clients = Steady(site)
    asyncio.run(asyncio.wait_for(clients.run(), DEADLINE_SECONDS))
    assert "incomplete" not in site.application_log()
    assert clients.statuses["200"] > Steady.CLIENTS
    assert set(clients.statuses) <= {"200", "refused"}, clients.statuses


def of_the_application(site: Site) -> set[int]:
    """The processes that serve, and not the one that starts them."""
    assert site.application is not None
    return {pid for pid in site.application.session_pids() if "app.fcgi" in program(pid)}


def program(pid: int) -> str:
    words = command_line(pid).split()
    return "" if "multiwatch" in "".join(words[:2]) else " ".join(words)


def test_a_stop_on_busy_connections_loses_no_request_and_comes_soon() -> None:
    """Two processes share a socket, and each is stopped in its turn; multiwatch starts another."""
    column = Column("haproxy-multiplex", HAProxy(multiplex=True), SpawnFcgi(tcp=True, forks=2))
    site = Site(column)
    with site.running():
        # Of different length, so that there is always one that runs.
        clients = Steady(site, lambda: f"/sleep?seconds={random.uniform(0.1, 0.5):.3f}", 120)
        clients.SECONDS = DEADLINE_SECONDS
        load = threading.Thread(target=lambda: asyncio.run(clients.run()))
        load.start()
        try:
            wait_until(lambda: clients.statuses.get("200", 0) > 400, "the load")
            for pid in of_the_application(site):
                began = time.monotonic()
                os.kill(pid, signal.SIGTERM)
                wait_until(lambda pid=pid: pid not in of_the_application(site), "the end")
                # Requests never cease to come: without an end of them it takes 30 s, and cuts them.
                assert time.monotonic() - began < GRACEFUL_TIMEOUT_SECONDS / 3
                wait_until(lambda: len(of_the_application(site)) == 2, "another process")
        finally:
            clients.enough = True
            load.join(DEADLINE_SECONDS)
        assert set(clients.statuses) <= {"200", "refused"}, clients.statuses
        assert site.application_log().count("stopped by SIGTERM") >= 2
        assert "are cut" not in site.application_log()


def broken(site: Site, number: int) -> bytes:
    """What a client gets of a response of 12,000 bytes that breaks off after 6,000."""
    path = f"{site.mount}/broken?token=cut{number}&length=1"
    request = f"GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
    return raw_request(site.port, request.encode())


def test_a_response_that_breaks_off_shows_it_and_costs_the_others_nothing() -> None:
    site = Site(Column("haproxy-multiplex", HAProxy(multiplex=True), Bound(tcp=True)))
    with site.running():
        clients = Steady(site, lambda: f"/sleep?seconds={random.uniform(0.02, 0.2):.3f}", 20)
        clients.SECONDS = DEADLINE_SECONDS
        load = threading.Thread(target=lambda: asyncio.run(clients.run()))
        load.start()
        try:
            wait_until(lambda: clients.statuses.get("200", 0) > 20, "the load")
            for number in range(5):
                head, _, body = broken(site, number).partition(b"\r\n\r\n")
                if head.split()[1:2] != [b"500"]:  # HAProxy's own refusal
                    assert b"content-length: 12000" in head.lower()
                    assert body == b"first\n" * 1000
        finally:
            clients.enough = True
            load.join(DEADLINE_SECONDS)
        assert set(clients.statuses) <= {"200", "refused"}, clients.statuses


def test_no_page_but_haproxys_own_is_taken_for_its_refusal() -> None:
    own = Reply(500, [], OWN_500)
    multiplexing = HAProxy(multiplex=True)
    assert multiplexing.refused(own) is bool(multiplexing.refuses_some())
    assert not multiplexing.refused(Reply(503, [], OWN_500))
    assert not HAProxy().refused(own)
    page = error_page("500 Internal Server Error").partition(b"\r\n\r\n")[2]
    assert not multiplexing.refused(Reply(500, [], page))
