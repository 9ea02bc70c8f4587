"""Measure what an HTTP client gets when a response breaks off, by Web server and way.

``python -m servers.measure_cuts [COLUMN …]``, run in tests/, prints a line for each column: for
each way the outcome without and with a Content-Length. docs/reference/webservers.md has the table.
"""

from __future__ import annotations

import dataclasses
import http.client
import sys
import time
from pathlib import Path

from .applications import Address, Application, Bound, SpawnFcgi
from .caches import CACHING
from .columns import COLUMNS, Column
from .harness import HERE
from .site import Site, StartError

WAYS = ("end", "close", "abort")
"""END_REQUEST; the connection closed without it; ABORT_REQUEST, and the connection closed."""
PATIENCE_SECONDS = 20.0


@dataclasses.dataclass(frozen=True)
class Cutting(Bound):
    """cut.fcgi, started independently."""

    def command(self, script: Path, address: Address) -> list[str]:
        return [sys.executable, str(script), address.bind]


def outcome(site: Site, path: str) -> str:
    """Ask once: whole, cut (and after how many seconds), or that the client waits on."""
    begun = time.monotonic()
    connection = http.client.HTTPConnection("127.0.0.1", site.port, timeout=PATIENCE_SECONDS)
    try:
        connection.request("GET", path)
        response = connection.getresponse()
        body = response.read()
        said = f"whole ({response.status}, {len(body)} bytes)"
    except TimeoutError:
        said = "waits"
    except (http.client.HTTPException, ConnectionError) as error:
        said = f"cut ({type(error).__name__})"
    finally:
        connection.close()
    took = time.monotonic() - begun
    return said if took < 1.5 else f"{said} after {took:.0f} s"


def measure(column: Column) -> str:
    """Return the line of a column."""
    started: Application = column.application
    if isinstance(started, Bound | SpawnFcgi):
        started = Cutting(tcp=started.tcp)
    site = Site(dataclasses.replace(column, application=started), HERE / "cut.fcgi")
    site.start()
    try:
        cells = []
        for way in WAYS:
            for length in ("", "&length=1"):
                path = f"{site.mount}/x?how={way}{length}"
                said = [outcome(site, path) for _ in range(2)]
                seen = (site.state / "seen.log").read_text().split("\n")
                asked = sum(line.startswith(path + " ") for line in seen)
                cached = ", cached" if asked == 1 else ""
                cells.append(f"{way}{length}: {said[0]}{cached}")
        return " | ".join([column.name, *cells])
    finally:
        site.stop()


def main() -> None:
    wanted = sys.argv[1:]
    for column in (*COLUMNS, *CACHING):
        if (not wanted or column.name in wanted) and column.name != "http-front":
            try:
                print(measure(column), flush=True)
            except StartError as error:
                print(f"{column.name}: does not start: {error}", flush=True)


if __name__ == "__main__":
    main()
