"""The status page as a person sees it, in a browser, where one is installed."""

from __future__ import annotations

import itertools
import re
import shutil
import struct
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from urllib.parse import quote

import pytest
from running import THREADS

from .applications import Bound
from .columns import Column
from .harness import wait_until
from .site import Site
from .webservers import Nginx

BROWSER = shutil.which("chromium") or shutil.which("chromium-browser")

pytestmark = [
    pytest.mark.servers,
    pytest.mark.skipif(BROWSER is None, reason="Chromium is not installed"),
]

STATUS = "/gfcgi-status"
HOSTILE = "/wait/<script>document.title='run'</script>\"><img src=x onerror=alert(1)>"
LONG = "/wait/" + "a-path-that-is-longer-than-any-screen-is-wide/" * 8

SCRIPT = """\
#!/usr/bin/python3
import os, time
END = os.path.join(os.path.dirname(os.path.abspath(__file__)), "state", "end")
def application(environ, start_response):
    while environ["PATH_INFO"].startswith("/wait") and not os.path.exists(END):
        time.sleep(0.05)
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"done"]
if __name__ == "__main__":
    import gfcgi
    gfcgi.run(application)
"""
PLACE = SCRIPT[: SCRIPT.index("time.sleep")].count("\n") + 1
# A greenlet waits in a function of gevent's; a thread waits in C, which has no frame.
WAITS_IN = "" if THREADS else ", in sleep"


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    """The application behind nginx, with a load and two requests that do not end."""
    source = tmp_path / "app.py"
    source.write_text(SCRIPT)
    application = Bound(arguments=("--status-path", STATUS))
    site = Site(Column("page", Nginx(keep_conn=True), application), source, ready="/")
    site.start()
    ended = threading.Event()

    def load() -> None:
        while not ended.is_set():
            site.get("/")
            time.sleep(0.01)

    with ExitStack() as ending:
        ending.callback(site.stop)
        threads = [threading.Thread(target=load)]
        threads += [
            threading.Thread(target=site.get, args=(quote(path),)) for path in (HOSTILE, LONG)
        ]
        for thread in threads:
            thread.start()
            ending.callback(thread.join)
        ending.callback((site.state / "end").touch)
        ending.callback(ended.set)
        wait_until(lambda: len(in_flight(site)) >= 2, "two requests to wait")
        yield site


def in_flight(site: Site) -> list[str]:
    found = site.get(f"{STATUS}?json").json()["in_flight"]
    return [one["path"] for one in found if "/wait" in one["path"]]


def command(site: Site, profile: Path, *arguments: str) -> list[str]:
    assert BROWSER is not None
    return [
        *[BROWSER, "--headless", "--no-sandbox", "--disable-gpu", "--no-first-run"],
        *["--disable-background-networking", "--disable-component-update", "--disable-sync"],
        *["--disable-dev-shm-usage", "--hide-scrollbars", "--enable-logging=stderr"],
        *[f"--user-data-dir={profile}", *arguments],
        f"http://127.0.0.1:{site.port}{site.mount}{STATUS}",
    ]


def browse(site: Site, profile: Path, *arguments: str) -> tuple[str, str]:
    """Open the page; return what the browser prints, and what it complains of."""
    done = subprocess.run(
        command(site, profile, *arguments),
        capture_output=True,
        text=True,
        timeout=200,
        check=True,
    )
    return done.stdout, "\n".join(
        line for line in done.stderr.splitlines() if "CONSOLE" in line or "Refused" in line
    )


def test_page_shows_what_runs_and_runs_nothing_itself(site: Site, tmp_path: Path) -> None:
    shown, complaints = browse(site, tmp_path / "profile", "--dump-dom")
    assert re.search(r"<title>\d+ in flight · gfcgi \d+</title>", shown)
    assert "<script" not in shown
    assert "<img" not in shown
    assert "&lt;script&gt;document.title='run'&lt;/script&gt;" in shown
    assert f"app.py, line {PLACE}{WAITS_IN}" in shown
    assert complaints == "", "its own policy allows all that it has"


def test_page_asks_again_by_itself(site: Site, tmp_path: Path) -> None:
    def own_pages() -> int:
        return int(site.get(f"{STATUS}?json").json()["all"]["own_pages"])

    browser = subprocess.Popen(
        command(site, tmp_path / "profile", "--remote-debugging-port=0"),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        asked = itertools.count(own_pages())
        wait_until(lambda: own_pages() > next(asked) + 2, "it to ask again", 120.0, pause=0.2)
    finally:
        browser.terminate()
        browser.wait(60)


@pytest.mark.parametrize(("width", "height"), [(1280, 900), (360, 1500)], ids=["wide", "narrow"])
def test_page_fits_the_screen(site: Site, tmp_path: Path, width: int, height: int) -> None:
    picture = tmp_path / "page.png"
    browse(
        *(site, tmp_path / "profile"),
        *(f"--window-size={width},{height}", f"--screenshot={picture}"),
    )
    data = picture.read_bytes()
    assert data[:8] == b"\x89PNG\r\n\x1a\n"
    assert struct.unpack(">I", data[16:20]) == (width,)
    assert len(data) > 20_000, "more than a blank page"
