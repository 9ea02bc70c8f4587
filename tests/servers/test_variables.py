"""What Web servers say differently: the application is told the same by every one of them."""

from __future__ import annotations

import re

import pytest

from .exchange import raw_request, raw_socket
from .site import Site

pytestmark = pytest.mark.servers


def differs(request: pytest.FixtureRequest, reason: str) -> None:
    """Put a documented difference of this column, if it is one, into the matrix."""
    if reason:
        request.node.user_properties.append(("note", reason))


def test_bare_mount_point_has_an_empty_path_info(site: Site) -> None:
    seen = site.get("" if site.mount else "/").json()
    assert (seen["SCRIPT_NAME"], seen["PATH_INFO"]) == (site.mount, "" if site.mount else "/")


def test_mount_point_with_a_slash_has_a_slash_as_path_info(site: Site) -> None:
    seen = site.get("/").json()
    assert (seen["SCRIPT_NAME"], seen["PATH_INFO"]) == (site.mount, "/")


def test_host_keeps_its_port(site: Site) -> None:
    seen = site.get("/environ").json()
    assert seen["HTTP_HOST"] == f"127.0.0.1:{site.port}"
    assert seen["SERVER_PORT"] == str(site.port)
    assert seen["SERVER_NAME"]
    assert ":" not in seen["SERVER_NAME"]


def test_http_1_0_without_host_has_a_server_name(site: Site) -> None:
    answer = raw_request(site.port, f"GET {site.mount}/environ HTTP/1.0\r\n\r\n".encode())
    head, _, body = answer.partition(b"\r\n\r\n")
    assert head.split()[1] == b"200", head
    assert b'"SERVER_NAME": ""' not in body
    assert b'"HTTP_HOST": ""' not in body  # Django takes it for a bad name
    # Without Host, the port is for some the usual one of the scheme.
    assert re.search(rb'"SERVER_PORT": "(80|%d)"' % site.port, body)


def test_repeated_request_headers_are_joined(site: Site, request: pytest.FixtureRequest) -> None:
    with site.client() as client:
        connection = client.connection
        connection.putrequest("GET", f"{site.mount}/environ")
        connection.putheader("X-Twice", "one")
        connection.putheader("X-Twice", "two")
        connection.putheader("Cookie", "a=1")
        connection.putheader("Cookie", "b=2")
        connection.endheaders()
        seen = client.reply().json()
    assert seen["HTTP_X_TWICE"].replace(" ", "") == "one,two"
    cookie = seen["HTTP_COOKIE"].replace(" ", "")
    if cookie == "a=1,b=2":
        differs(request, "it joins two Cookie headers by a comma")
    else:
        assert cookie == "a=1;b=2"


def test_authorization_reaches_the_application(site: Site) -> None:
    seen = site.get("/environ", Authorization="Basic YTpi").json()
    assert seen["HTTP_AUTHORIZATION"] == "Basic YTpi"


def test_proxy_header_does_not_reach_the_application(site: Site) -> None:
    assert "HTTP_PROXY" not in site.get("/environ", Proxy="http://evil.example").json()


def test_lengths_and_types_are_given_once(site: Site) -> None:
    seen = site.get("/environ").json()
    assert seen.get("CONTENT_LENGTH") in (None, "", "0")
    assert not seen.get("CONTENT_TYPE")
    assert not {"HTTP_CONTENT_LENGTH", "HTTP_CONTENT_TYPE"} & set(seen)


@pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH", "OPTIONS"])
def test_method_passes(site: Site, method: str, request: pytest.FixtureRequest) -> None:
    seen = site.request(method, "/upload", b"x").json()
    assert seen["method"] == method
    if site.column.name == "caddy" and method == "OPTIONS":
        differs(request, "it drops the body of OPTIONS")
        assert (seen["bytes"], seen["content_length"]) == (0, "0")
    else:
        assert seen["bytes"] == 1


def test_large_request_headers_pass(site: Site) -> None:
    value = "v" * 6000
    assert site.get("/environ", X_Large=value).json()["HTTP_X_LARGE"] == value


def test_expect_100_continue_is_answered(site: Site) -> None:
    body = b"x" * 1000
    request = (
        f"POST {site.mount}/upload HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"
        f"Content-Length: {len(body)}\r\nExpect: 100-continue\r\n\r\n"
    )
    with raw_socket(site.port) as connection:
        connection.sendall(request.encode())
        assert connection.recv(65536).startswith(b"HTTP/1.1 100")
        connection.sendall(body)
        received = bytearray()
        while block := connection.recv(65536):
            received += block
    assert b'"bytes": 1000' in received


@pytest.mark.parametrize(
    ("target", "paths"),
    [
        ("/environ/a//b", {"/environ/a//b": "", "/environ/a/b": "it folds // to /"}),
        ("/environ/a%2Fb", {"/environ/a/b": "", "404": "it refuses %2F with 404"}),
        (
            "/environ/./a/../b",
            {"/environ/b": "", "/environ/./a/../b": "it leaves . and .. in the path"},
        ),
        ("/environ/a%20b;c=d,e", {"/environ/a b;c=d,e": ""}),
    ],
    ids=["double-slash", "encoded-slash", "dots", "punctuation"],
)
def test_odd_path(
    site: Site, request: pytest.FixtureRequest, target: str, paths: dict[str, str]
) -> None:
    reply = site.get(target)
    seen = reply.json()["PATH_INFO"] if reply.status == 200 else str(reply.status)
    assert seen in paths
    differs(request, paths[seen])
