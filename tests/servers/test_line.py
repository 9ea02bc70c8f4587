"""Twice as many requests as may run at once, through nginx: each is answered, or has a 503 in time.

``LOAD_SECONDS=60 pytest -s tests/servers/test_line.py`` prints the counts of a longer run.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from running import THREADS

from .applications import Bound
from .columns import Column
from .site import Site
from .webservers import Nginx

pytestmark = pytest.mark.servers

SECONDS = float(os.environ.get("LOAD_SECONDS", "4"))
MOST = 90
CLIENTS = 2 * MOST
DEADLINE_SECONDS = 60.0

SCRIPT = """\
#!/usr/bin/python3
import os, threading, time
running = peak = 0
lock = threading.Lock()
def application(environ, start_response):
    global running, peak
    if environ["PATH_INFO"] == "/ready":
        with open("/proc/self/statm") as statm:
            pages = int(statm.read().split()[1])
        start_response("200 OK", [("Content-Type", "text/plain")])
        return [f"{os.getpid()} {peak} {pages * os.sysconf('SC_PAGE_SIZE')}".encode()]
    with lock:
        running += 1
        peak = max(peak, running)
    try:
        time.sleep(float(environ["QUERY_STRING"]))
    finally:
        with lock:
            running -= 1
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"done"]
if __name__ == "__main__":
    import gfcgi
    gfcgi.run(application)
"""

WAYS = {
    "closed": (Nginx(keep_conn=False), ("--max-concurrent-requests", str(MOST))),
    "kept": (Nginx(keep_conn=True), ("--max-concurrent-requests", str(MOST))),
    "threads": (Nginx(keep_conn=False), ("--threads", str(MOST))),
}
MOST_AT_ONCE = {"closed": THREADS or MOST, "kept": THREADS or MOST, "threads": MOST}


@pytest.fixture
def site(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Site]:
    way, *more = request.param
    webserver, arguments = WAYS[way]
    source = tmp_path / "app.py"
    source.write_text(SCRIPT)
    column = Column(f"nginx-{way}", webserver, Bound(arguments=(*arguments, *more)))
    site = Site(column, source, ready="/ready")
    with site.running():
        yield site


class Load:
    """Clients that ask again as soon as they are answered."""

    def __init__(self, site: Site, seconds: float) -> None:
        self.site, self.seconds = site, seconds
        self.statuses: Counter[str] = Counter()
        self.longest = 0.0
        self.retry_after = True

    async def ask(self) -> None:
        began = time.monotonic()
        reader, writer = await asyncio.open_connection("127.0.0.1", self.site.port)
        path = f"{self.site.mount}/wait?{self.seconds}"
        writer.write(
            f"GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode()
        )
        answer = await reader.read()
        writer.close()
        status = answer.split()[1].decode() if answer else "nothing"
        self.statuses[status] += 1
        self.longest = max(self.longest, time.monotonic() - began)
        if status == "503":
            self.retry_after &= b"\r\nRetry-After: " in answer

    async def run(self, seconds: float) -> None:
        until = time.monotonic() + seconds

        async def client() -> None:
            while time.monotonic() < until:
                await self.ask()

        clients = asyncio.gather(*(client() for _ in range(CLIENTS)))
        await asyncio.wait_for(clients, seconds + DEADLINE_SECONDS)


def peak_and_memory(site: Site) -> tuple[int, int]:
    _, peak, memory = site.get("/ready").body.split()
    return int(peak), int(memory)


@pytest.mark.parametrize(
    ("site", "most"), [((way,), MOST_AT_ONCE[way]) for way in WAYS], indirect=["site"], ids=WAYS
)
def test_twice_as_many_as_may_run_are_all_answered_and_memory_stays_flat(
    site: Site, most: int
) -> None:
    load = Load(site, 0.05)
    asyncio.run(load.run(SECONDS / 4))
    _, before = peak_and_memory(site)
    asyncio.run(load.run(SECONDS))
    peak, after = peak_and_memory(site)
    print(f"{dict(load.statuses)}, {load.longest:.2f} s at most, {before:,} to {after:,} bytes")
    assert set(load.statuses) == {"200"}
    assert load.statuses["200"] > CLIENTS
    assert peak == most
    assert after < before + 10_000_000


@pytest.mark.parametrize(
    "site", [("closed", "--queue-timeout-seconds", "0.5")], indirect=True, ids=["closed"]
)
def test_who_cannot_be_answered_has_503_within_the_lines_time(site: Site) -> None:
    load = Load(site, 0.8)
    asyncio.run(load.run(SECONDS))
    print(f"{dict(load.statuses)}, {load.longest:.2f} s at most")
    assert set(load.statuses) == {"200", "503"}
    assert load.statuses["503"] > MOST / 2
    assert load.retry_after
    assert site.get("/ready").status == 200
    assert "queue_timeout_seconds" in site.application_log()
