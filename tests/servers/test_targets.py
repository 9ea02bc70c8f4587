"""Request targets beyond a plain path, headers that fill buffers, and HTTPS."""

from __future__ import annotations

import pytest

from .exchange import raw_request
from .https import SecureSite, offers_https
from .site import Site

pytestmark = pytest.mark.servers


def differs(request: pytest.FixtureRequest, reason: str) -> None:
    """Put a documented difference of this column into the matrix."""
    request.node.user_properties.append(("note", reason))


def exchange(site: Site, line: str, *headers: str) -> tuple[int, bytes]:
    """Send one request line as it is; return the status and the body."""
    lines = [line, *headers, "Connection: close", "", ""]
    head, _, body = raw_request(site.port, "\r\n".join(lines).encode()).partition(b"\r\n\r\n")
    return int(head.split()[1]), body


def test_options_star_hurts_nobody(site: Site, request: pytest.FixtureRequest) -> None:
    status, body = exchange(site, "OPTIONS * HTTP/1.1", f"Host: 127.0.0.1:{site.port}")
    if body.startswith(b"{"):
        differs(request, "the application gets it, with an empty path")
        assert (b'"PATH_INFO": ""' in body, b'"REQUEST_URI": "*"' in body) == (True, True)
    elif body == b"no such action":
        differs(request, "the application gets it, with a path of its own making")
    else:
        differs(request, f"the Web server answers it by itself, with {status}")
    assert site.get("/hello").body == b"hello world"


def test_absolute_form_is_told_as_a_path(site: Site, request: pytest.FixtureRequest) -> None:
    target = f"http://127.0.0.1:{site.port}{site.mount}/environ/a%20b?c=%20d"
    with site.client() as client:
        reply = client.request("GET", target, headers={"Host": f"127.0.0.1:{site.port}"})
    if reply.status == 404:
        differs(request, "it takes the whole URL for a path, and there is none such")
        return
    seen = reply.json()
    assert (seen["SCRIPT_NAME"], seen["PATH_INFO"]) == (site.mount, "/environ/a b")
    assert seen["QUERY_STRING"] == "c=%20d"
    assert seen["HTTP_HOST"] == f"127.0.0.1:{site.port}"
    assert seen["wsgi.url_scheme"] == "http"


def test_many_request_headers_pass(site: Site) -> None:
    headers = {f"X-Many-{at}": f"value {at}" for at in range(60)}
    with site.client() as client:
        seen = client.request("GET", f"{site.mount}/environ", headers=headers).json()
    assert [seen[f"HTTP_X_MANY_{at}"] for at in range(60)] == [f"value {at}" for at in range(60)]


def test_response_headers_of_6_kb_pass(site: Site) -> None:
    reply = site.get("/large?bytes=6000")
    assert reply.status == 200
    assert reply.header("X-Large") == "v" * 6000


def test_https_is_told_by_scheme_and_port(site: Site, request: pytest.FixtureRequest) -> None:
    if not offers_https(site.column.server):
        differs(request, "it speaks no HTTPS")
        return
    secure = SecureSite(site.column)
    with secure.running():
        seen = secure.get("/environ").json()
    assert seen["wsgi.url_scheme"] == "https"
    assert seen["SERVER_PORT"] == str(secure.port)
    assert seen["HTTP_HOST"] == f"127.0.0.1:{secure.port}"
    assert seen["HTTPS"] == "on"
    assert (seen["SCRIPT_NAME"], seen["PATH_INFO"]) == (secure.mount, "/environ")
