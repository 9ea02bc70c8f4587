"""The script of the person this is for: their hello.fcgi, only its last two lines changed."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from .applications import Application, Bound, SpawnFcgi
from .columns import Column
from .exchange import HTTPClient
from .harness import wait_until
from .site import Site
from .webservers import ApacheCGI, ApacheFastcgi, ApacheFcgid, ApacheProxy, Development, Nginx

pytestmark = pytest.mark.servers

# As it was written for flup, whose two lines stood where gfcgi's stand now. It returns str,
# which WSGI forbids and flup allowed.
HELLO = """\
#!/usr/bin/python3
def application(environ, start_response):
    body = '<html><body><h2>hello world</h2></body></html>'
    status = '200 OK'
    headers = [('Content-Type', 'text/html'), ('Content-Length', str(len(body)))]
    start_response(status, headers)
    return [body]
if __name__ == '__main__':
    import gfcgi
    gfcgi.run(application)
"""

WAYS = [
    Column("mod_fcgid", ApacheFcgid(), Application()),
    Column("mod_fastcgi", ApacheFastcgi(), Application()),
    Column("spawn-fcgi", Nginx(), SpawnFcgi()),
    Column("bind-behind-nginx", Nginx(), Bound()),
    Column("bind-behind-apache", ApacheProxy(), Bound()),
    Column("plain-cgi", ApacheCGI(), Application()),
    Column("http", Development(), Application(), mount=""),
]


@pytest.fixture(params=WAYS, ids=str)
def hello(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Site]:
    """The hello script, running in one of the ways of the notes."""
    script = tmp_path / "hello.fcgi"
    script.write_text(HELLO)
    site = Site(request.param, script, ready="/")
    with site.running():
        yield site


def test_hello_script_answers_as_it_always_did(hello: Site) -> None:
    body = b"<html><body><h2>hello world</h2></body></html>"
    with HTTPClient(hello.port) as client:
        for path in ("/", "/any/path?query"):
            reply = client.request("GET", hello.mount + path)
            assert reply.status == 200
            assert reply.header("Content-Type") == "text/html"
            # Apache since 2.4.59 takes no Content-Length from CGI or mod_proxy_fcgi.
            assert reply.header("Content-Length") in (None, str(len(body)))
            assert reply.body == body
        assert client.request("HEAD", hello.mount + "/").body == b""


def test_hello_script_is_told_how_to_return_bytes(hello: Site) -> None:
    def told() -> list[str]:
        return [
            line
            for line in hello.root.read_logs().splitlines()
            if "bytes" in line and "str" in line
        ]

    wait_until(told, "the line about str and bytes", 15.0)
    assert hello.get("/").status == 200
    if hello.column.server.__class__ is not ApacheCGI:
        assert len(told()) == 1, "it is said once per application, not per request"
