"""A request that has run for too long, through Web servers: 504, or a cut that the client sees."""

from __future__ import annotations

import http.client
from collections.abc import Iterator
from pathlib import Path

import pytest

from .applications import Bound
from .columns import Column
from .exchange import HTTPClient
from .harness import wait_until
from .site import Site
from .webservers import ApacheProxy, HAProxy, Nginx

pytestmark = pytest.mark.servers

LIMIT = ("--request-timeout-seconds", "1")

SCRIPT = """\
#!/usr/bin/python3
import time
def application(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    if environ["PATH_INFO"] == "/part":
        return parts()
    if environ["PATH_INFO"] == "/slow":
        time.sleep(3)
    return [b"done"]
def parts():
    yield b"part"
    time.sleep(3)
    yield b"the rest"
if __name__ == "__main__":
    import gfcgi
    gfcgi.run(application)
"""

WAYS = {
    "nginx": Column("nginx-closed", Nginx(keep_conn=False), Bound(arguments=LIMIT)),
    "nginx-kept": Column("nginx-kept", Nginx(keep_conn=True), Bound(arguments=LIMIT)),
    "threads": Column(
        "nginx-threads", Nginx(keep_conn=False), Bound(arguments=(*LIMIT, "--threads", "4"))
    ),
    "processes": Column(
        "nginx-processes", Nginx(keep_conn=False), Bound(arguments=(*LIMIT, "--processes", "1"))
    ),
    "haproxy": Column("haproxy-multiplex", HAProxy(multiplex=True), Bound(arguments=LIMIT)),
    "apache-proxy": Column("apache-proxy", ApacheProxy(), Bound(arguments=LIMIT)),
}


@pytest.fixture(scope="module", params=WAYS)
def site(
    tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest
) -> Iterator[Site]:
    if request.param == "processes":
        pytest.importorskip("gunicorn")
    source: Path = tmp_path_factory.mktemp("limit") / "app.py"
    source.write_text(SCRIPT)
    site = Site(WAYS[request.param], source, ready="/")
    with site.running():
        yield site


def test_nothing_sent_yet_is_504_and_the_stack_is_in_the_log(site: Site) -> None:
    reply = site.get("/slow")
    assert reply.status == 504
    assert b"The application took too long." in reply.body
    head = site.request("HEAD", "/slow")
    assert (head.status, head.body) == (504, b"")
    log = site.application_log
    wait_until(lambda: "/slow has run for 1" in log(), "a line in the log")
    assert "app.py, line 8" in log()
    assert ", in application\n" in log()
    assert site.get("/").status == 200


def test_a_response_that_has_begun_is_cut_so_that_the_client_can_tell(site: Site) -> None:
    with HTTPClient(site.port) as client, pytest.raises((http.client.HTTPException, OSError)):
        client.request("GET", f"{site.mount}/part")
    assert site.get("/").status == 200
