"""gunicorn's workers behind nginx on a UNIX socket: what becomes of every request.

``LOAD_SECONDS=60 pytest -s tests/servers/test_processes.py`` prints the counts of a longer run.
"""

from __future__ import annotations

import os
import re
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from .applications import Bound, Gunicorn
from .columns import Column
from .harness import wait_until
from .site import Site
from .webservers import Nginx

if TYPE_CHECKING:
    from typing_extensions import Self

pytest.importorskip("gunicorn")

pytestmark = pytest.mark.servers

SECONDS = float(os.environ.get("LOAD_SECONDS", "8"))
CLIENTS = 8
WORKERS = 2
RETIRING = ("--max-requests", "150")

SCRIPT = """\
#!/usr/bin/python3
import os, time
marks = os.open(os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "tmp", "marks"),
                os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o666)
def application(environ, start_response):
    os.write(marks, f"{environ['QUERY_STRING'] or '-'} {os.getpid()}\\n".encode())
    if environ["PATH_INFO"] == "/slow":
        time.sleep(0.2)
    body = str(os.getpid()).encode()
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", str(len(body)))])
    return [body]
if __name__ == "__main__":
    import gfcgi
    gfcgi.run(application)
"""


def with_processes(*arguments: str) -> Bound:
    return Bound(arguments=("--processes", str(WORKERS), *arguments))


WAYS = [
    Column(
        "nginx-closed-gunicorn",
        Nginx(keep_conn=False),
        Gunicorn(arguments=RETIRING, workers=WORKERS),
    ),
    Column("nginx-kept-processes", Nginx(keep_conn=True), with_processes(*RETIRING)),
]


@contextmanager
def running(column: Column, tmp_path: Path) -> Iterator[Site]:
    source = tmp_path / "app.py"
    source.write_text(SCRIPT)
    site = Site(column, source, ready="/")
    with site.running():
        yield site


class Load:
    """Clients that ask again and again, each request with a number of its own."""

    def __init__(self, site: Site) -> None:
        self._site = site
        self._stop = threading.Event()
        self.answered: Counter[int] = Counter()
        """By the worker that answered."""
        self.failed: dict[str, object] = {}
        self._threads = [
            threading.Thread(target=self._ask, args=(number,)) for number in range(CLIENTS)
        ]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join(60)

    def _ask(self, client: int) -> None:
        path = "/" if client % 2 else "/slow"
        number = 0
        while not self._stop.is_set():
            number += 1
            name = f"{client}.{number}"
            try:
                reply = self._site.get(f"{path}?{name}")
            except Exception as error:
                self.failed[name] = error
                continue
            if reply.status == 200:
                self.answered[int(reply.body)] += 1
            else:
                self.failed[name] = reply.status
            time.sleep(0.002)  # the rest of the machine has something to do as well


def arbiter_of(site: Site) -> int:
    return int(re.findall(r"Listening at: .*\((\d+)\)", site.application_log())[-1])


def count(site: Site, text: str) -> int:
    return site.application_log().count(text)


@pytest.mark.parametrize("column", WAYS, ids=str)
def test_no_request_fails_while_workers_come_and_go(column: Column, tmp_path: Path) -> None:
    """SIGHUP, SIGTTIN and SIGTTOU one after the other, while workers retire."""
    sent: Counter[str] = Counter()
    with running(column, tmp_path) as site:
        arbiter = arbiter_of(site)

        def send(signum: signal.Signals, sign: str) -> None:
            before = count(site, sign)
            os.kill(arbiter, signum)
            sent[signum.name] += 1
            wait_until(lambda: count(site, sign) > before, f"{sign!r} after {signum.name}")

        with Load(site) as load:
            until = time.monotonic() + SECONDS
            while time.monotonic() < until or not all(
                (sent["SIGTTOU"], count(site, "Autorestarting worker") >= WORKERS)
            ):
                send(signal.SIGTTIN, "Booting worker with pid")
                send(signal.SIGHUP, "Worker exiting")
                send(signal.SIGTTIN, "Booting worker with pid")
                send(signal.SIGTTOU, "Worker exiting")
        retired = count(site, "Autorestarting worker")
        told = (
            f"{column}: {load.answered.total()} answered by {len(load.answered)} workers,"
            f" {len(load.failed)} failed; {dict(sent)}, {retired} retired"
        )
        print(told)
        assert load.failed == {}, told + site.root.read_logs()
        assert len(load.answered) > WORKERS
        assert retired


KILLED = [
    Column("nginx-closed-gunicorn", Nginx(keep_conn=False), Gunicorn(workers=WORKERS)),
    Column("nginx-kept-processes", Nginx(keep_conn=True), with_processes()),
]


@pytest.mark.parametrize("column", KILLED, ids=str)
def test_a_worker_that_is_killed_takes_its_own_requests_with_it_and_no_others(
    column: Column, tmp_path: Path
) -> None:
    killed: set[str] = set()
    with running(column, tmp_path) as site:
        marks = site.root.path / "tmp" / "marks"

        def last_worker() -> str:
            return marks.read_text().split("\n")[-2].split()[1]

        def others(than: set[str]) -> Callable[[], bool]:
            return lambda: last_worker() not in than

        with Load(site) as load:
            while len(killed) < 3:
                wait_until(others(killed), "another worker")
                worker = last_worker()
                killed.add(worker)
                booted = count(site, "Booting worker with pid")
                os.kill(int(worker), signal.SIGKILL)
                wait_until(lambda n=booted: count(site, "Booting worker") > n, "the next worker")  # type: ignore[misc]
            before = load.answered.total()
            wait_until(lambda: load.answered.total() > before + 50, "further answers")
        workers: dict[str, set[str]] = {}
        for line in marks.read_text().splitlines():
            name, worker = line.split()
            workers.setdefault(name, set()).add(worker)
        print(f"{column}: {load.answered.total()} answered, {len(load.failed)} failed")
        elsewhere = {
            name: (what, workers[name])
            for name, what in load.failed.items()
            if name in workers and not workers[name] & killed
        }
        assert elsewhere == {}
        assert any(workers.get(name, set()) & killed for name in load.failed)
        assert len(load.failed) <= len(killed) * CLIENTS
