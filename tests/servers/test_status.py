"""The status page of three workers behind nginx: its counts are those of who asked.

``LOAD_REQUESTS=2000 pytest -s tests/servers/test_status.py`` prints what a longer run comes to.
"""

from __future__ import annotations

import http.client
import os
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from .applications import Application, Bound, Gunicorn
from .columns import Column
from .exchange import Reply
from .harness import wait_until
from .site import Site
from .webservers import Nginx

pytest.importorskip("gunicorn")
parser = pytest.importorskip("prometheus_client.openmetrics.parser")

pytestmark = pytest.mark.servers

REQUESTS = int(os.environ.get("LOAD_REQUESTS", "60"))
"""Of each client."""
CLIENTS = 8
WORKERS = 3
STATUS = "/gfcgi-status"

SCRIPT = """\
#!/usr/bin/python3
import os, time
def application(environ, start_response):
    path = environ["PATH_INFO"]
    if path == "/fail":
        raise ValueError("on purpose")
    if path == "/slow":
        time.sleep(0.05)
    status = "404 Not Found" if path == "/none" else "200 OK"
    start_response(status, [("Content-Type", "text/plain")])
    return [str(os.getpid()).encode()]
if __name__ == "__main__":
    import gfcgi
    gfcgi.run(application)
"""
PATHS = ("/", "/slow", "/none", "/", "/fail")

WAYS: dict[str, tuple[Application, bool]] = {
    "processes": (Bound(arguments=("--processes", str(WORKERS), "--status-path", STATUS)), True),
    "gunicorn": (
        Gunicorn(workers=WORKERS, arguments=("-e", f"GFCGI_STATUS_PATH={STATUS}")),
        False,
    ),
}


@contextmanager
def running(application: Application, tmp_path: Path, *, keep_conn: bool) -> Iterator[Site]:
    source = tmp_path / "app.py"
    source.write_text(SCRIPT)
    site = Site(Column("status", Nginx(keep_conn=keep_conn), application), source, ready="/")
    with site.running():
        yield site


def status(site: Site) -> dict[str, Any]:
    found: dict[str, Any] = site.get(f"{STATUS}?json").json()
    return found


def requests_by_class(found: dict[str, Any]) -> Counter[str]:
    return Counter(found["all"]["by_status"])


class Load:
    """Clients that each ask so many times; what they have got is counted."""

    def __init__(self, site: Site, clients: int, paths: tuple[str, ...] = PATHS) -> None:
        self._site = site
        self._paths = paths
        self.by_class: Counter[str] = Counter()
        self.by_worker: Counter[str] = Counter()
        self.seen: list[int] = []
        """How many requests the status page has counted, each time that it was asked."""
        self._lock = threading.Lock()
        self._threads = [threading.Thread(target=self._ask, args=(n,)) for n in range(clients)]

    def run(self) -> None:
        for thread in self._threads:
            thread.start()
        while any(thread.is_alive() for thread in self._threads):
            self.seen.append(status(self._site)["all"]["requests"])
        for thread in self._threads:
            thread.join()

    def _ask(self, client: int) -> None:
        for number in range(REQUESTS):
            reply = self._site.get(self._paths[(client + number) % len(self._paths)])
            with self._lock:
                self.by_class[f"{reply.status // 100}xx"] += 1
                if reply.body.isdigit():
                    self.by_worker[reply.body.decode()] += 1


@pytest.mark.parametrize("way", WAYS)
def test_counts_of_several_workers_are_exactly_those_of_who_asked(way: str, tmp_path: Path) -> None:
    application, keep_conn = WAYS[way]
    with running(application, tmp_path, keep_conn=keep_conn) as site:
        wait_until(lambda: len(status(site)["processes"]) == WORKERS, "all workers")
        before = requests_by_class(status(site))
        load = Load(site, CLIENTS)
        load.run()
        asked = load.by_class.total()
        assert asked == CLIENTS * REQUESTS
        wait_until(
            lambda: requests_by_class(status(site)).total() >= asked + before.total(), "all counts"
        )
        found = status(site)
        assert requests_by_class(found) - before == load.by_class
        assert len(found["processes"]) == WORKERS
        assert found["complete"] is True
        assert found["all"]["running"] == 0
        for worker, count in load.by_worker.items():
            assert found["processes"][worker]["requests"] >= count
        # Who accepts is the kernel's choice, and on a busy machine not always all of them.
        assert len(load.by_worker) > 1, "several workers have had a part"
        assert load.seen == sorted(load.seen), "no count goes down"

        metrics = openmetrics(site.get(f"{STATUS}?openmetrics"))
        for kind, count in requests_by_class(found).items():
            assert metrics["gfcgi_requests_total", kind] == count
        assert metrics["gfcgi_request_seconds_count",] == asked + before.total()
        assert metrics["gfcgi_processes",] == WORKERS
        by_worker = {name[1]: count for name, count in metrics.items() if "process_req" in name[0]}
        assert sum(by_worker.values()) == asked + before.total()
        print(f"{way}: {asked} asked, {dict(load.by_class)}; by worker {by_worker}")


def openmetrics(reply: Reply) -> dict[tuple[str, ...], float]:
    assert reply.status == 200
    return {
        (sample.name, *sample.labels.values()): sample.value
        for family in parser.text_string_to_metric_families(reply.body.decode())
        for sample in family.samples
    }


def test_refused_requests_are_counted_and_the_page_is_there_meanwhile(tmp_path: Path) -> None:
    """Twice as many at once as may run: each gets an answer, and the counts agree."""
    application = Bound(
        arguments=("--processes", "2", "--status-path", STATUS, "--max-concurrent-requests", "4")
    )
    with running(application, tmp_path, keep_conn=False) as site:
        before = requests_by_class(status(site))
        load = Load(site, 16, ("/slow",))
        load.run()
        assert load.by_class.keys() <= {"2xx", "5xx"}
        asked = load.by_class.total()
        wait_until(
            lambda: requests_by_class(status(site)).total() >= asked + before.total(), "all counts"
        )
        assert requests_by_class(status(site)) - before == load.by_class
        assert load.seen
        print(f"{dict(load.by_class)}; the page was asked {len(load.seen)} times")


def test_a_strangers_address_gets_403(tmp_path: Path) -> None:
    """nginx says which address a client has."""
    options = ("--status-path", STATUS, "--ping-path", "/gfcgi-ping")
    application = Bound(arguments=(*options, "--status-allow", "127.0.0.2"))
    with running(application, tmp_path, keep_conn=True) as site:
        for address, expected in (("127.0.0.1", 403), ("127.0.0.2", 200), ("127.0.0.3", 403)):
            for page in (STATUS, "/gfcgi-ping"):
                client = http.client.HTTPConnection(
                    "127.0.0.1", site.port, timeout=60, source_address=(address, 0)
                )
                client.request("GET", f"{site.mount}{page}")
                reply = client.getresponse()
                body = reply.read()
                client.close()
                assert reply.status == expected, (address, page)
                assert (b"in flight" in body or b"pong" in body) is (expected == 200)
