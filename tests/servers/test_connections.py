"""Transport connections that end between requests, and Web servers that restart under load."""

from __future__ import annotations

import dataclasses
import itertools
import signal
import threading
from contextlib import ExitStack
from typing import final

import pytest

from .applications import Bound
from .bursts import sleepers
from .columns import PROCESS_EACH, Column
from .connections import established
from .exchange import raw_request, raw_socket
from .harness import wait_until
from .site import Site
from .webservers import ApacheProxy, HAProxy, Nginx, WebServer

pytestmark = pytest.mark.servers


def differs(request: pytest.FixtureRequest, reason: str) -> None:
    """Put a documented difference of this column into the matrix."""
    request.node.user_properties.append(("note", reason))


def test_kept_connection_that_gfcgi_closes_while_idle_hurts_nobody(
    site: Site, request: pytest.FixtureRequest
) -> None:
    column = site.column
    if not column.keeps_connections:
        differs(request, "no transport connection is kept")
        return
    assert isinstance(column.application, Bound)
    arguments = (*column.application.arguments, "--idle-timeout-seconds", "0.3")
    application = dataclasses.replace(column.application, arguments=arguments)
    impatient = Site(dataclasses.replace(column, application=application))
    with impatient.running():
        for _ in range(3):
            assert impatient.get("/hello").status == 200
            assert impatient.request("POST", "/upload", b"x" * 1000).json()["bytes"] == 1000
            wait_until(lambda: not established(impatient.address), "gfcgi to close them")


@pytest.mark.parametrize(
    "server", [ApacheProxy(reuse=True), Nginx(keep_conn=True)], ids=["apache-proxy", "nginx"]
)
def test_kept_connections_without_a_request_make_room_for_others(server: WebServer) -> None:
    """Apache keeps one for each of its threads, and here there is room for four of them."""
    application = Bound(arguments=("--max-connections", "4"))
    crowded = Site(Column("few-connections", server, application))
    with crowded.running():
        for _ in range(2):
            assert len(sleepers(crowded, 60, "seconds=0.05")[0]) == 60


def test_kept_connections_are_used_again(site: Site, request: pytest.FixtureRequest) -> None:
    if not site.column.keeps_connections:
        differs(request, "no transport connection is kept")
        assert site.get("/hello").status == 200
        wait_until(lambda: not established(site.address), "the end of the transport connection")
        return
    seen: set[str] = set()
    with site.client() as client:
        for _ in range(60):
            # Without a body all of a response comes in one read. HAProxy 2.6 gives a connection up
            # where the last byte of Content-Length and END_REQUEST come in two.
            assert client.request("GET", f"{site.mount}/status?code=304").status == 304
            seen |= established(site.address)
    assert 1 <= len(seen) <= 5


@final
class Load:
    """Threads that send request after request, a connection each, and keep what went wrong."""

    def __init__(self, site: Site, threads: int) -> None:
        self.site = site
        self.answered = [0] * threads
        #: The status, or 0 where there was no HTTP response, and what came.
        self.faults: list[tuple[int, str]] = []
        self._over = threading.Event()
        self._threads = [threading.Thread(target=self._run, args=(at,)) for at in range(threads)]

    def __enter__(self) -> Load:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self._over.set()
        for thread in self._threads:
            thread.join()

    def wait_answers(self, each: int) -> None:
        """Wait until every thread has had so many more answers."""
        wanted = [count + each for count in self.answered]
        wait_until(
            lambda: all(map(int.__ge__, self.answered, wanted)),
            f"{self.site.column}: {each} more answers in each thread, after {self.faults[:5]}",
        )

    def _run(self, at: int) -> None:
        for count in itertools.count():
            if self._over.is_set():
                return
            name = f"n{at}x{count}"
            line = f"GET {self.site.mount}/hello?name={name} HTTP/1.1"
            text = f"{line}\r\nHost: localhost\r\nConnection: close\r\n\r\n"
            try:
                answer = raw_request(self.site.port, text.encode())
            except OSError as error:
                self.faults.append((0, f"{name}: {error!r}"))
                continue
            words = answer.split(maxsplit=2)
            if words[1:2] == [b"200"] and f"hello {name}".encode() in answer:
                self.answered[at] += 1
            else:
                status = int(words[1]) if len(words) > 1 else 0
                self.faults.append((status, f"{name}: {answer[:60]!r}"))


def test_graceful_reload_under_load_loses_no_request(
    site: Site, request: pytest.FixtureRequest
) -> None:
    number = site.column.server.reload_signal
    if number is None:
        differs(request, "the Web server has no signal that reloads it")
        return
    few = 1 if site.column.concurrency == PROCESS_EACH else 10
    with Load(site, 4) as load:
        for _ in range(2):
            load.wait_answers(few)
            site.server.send_signal(number)
            load.wait_answers(2 * few)
    costs = site.column.reload_costs
    if costs is not None:
        status, reason = costs
        differs(request, reason)
        assert {fault[0] for fault in load.faults} <= {status}, load.faults[:10]
        # At most what was under way at each of the two reloads.
        assert len(load.faults) <= 8, load.faults[:10]
    else:
        assert not load.faults, load.faults[:10]
    assert not site.server.exited()


@pytest.mark.parametrize(
    "server",
    [HAProxy(), HAProxy(keep_conn=False), HAProxy(multiplex=True)],
    ids=["kept", "closed", "multiplexed"],
)
def test_requests_that_haproxy_aborts_as_it_reloads_are_answered(server: HAProxy) -> None:
    """It aborts what it sends from then on, and what is on the same connection."""
    with Site(Column("reloaded", server)).running() as site, ExitStack() as closing:
        clients = []
        for _ in range(8):
            client = closing.enter_context(raw_socket(site.port))
            client.sendall(f"GET {site.mount}/sleep?seconds=0.3 HTTP/1.1\r\n".encode())
            clients.append(client)
        site.get("/hello")  # its one thread has accepted those before

        def reloaded() -> bool:
            site.server.send_signal(signal.SIGUSR2)  # its master ignores it before it is ready
            return "Proxy app stopped" in site.error_log()

        wait_until(reloaded, "the old HAProxy to stop", pause=0.5)
        for client in clients:
            client.sendall(b"Host: localhost\r\nConnection: close\r\n\r\n")
        answers = [client.makefile("rb").read() for client in clients]
        assert [answer.split()[1] for answer in answers] == [b"200"] * 8
